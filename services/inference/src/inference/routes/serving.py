"""A model as it is served now: its route, its warm versions and how its vectors are made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from feature_store import Requests
from feature_store.expressions import dtype_of, null_of
from feature_store.online import VectorAssembler
from feature_store.scalars import KIND_OF

from inference.domain.assignment import BASIS_POINTS, choose, is_logged, point
from inference.domain.requests import Requirements
from inference.domain.routes import Arm, InvalidRoute, Role, weights_of
from inference.routes.versions import VersionRefused

if TYPE_CHECKING:
    from feature_store import Contract, Project
    from feature_store.concealment import Concealment
    from model_package import Scorer

    from inference.domain.conduct import Conduct
    from inference.domain.requests import Asked
    from inference.domain.routes import Route
    from inference.domain.segments import Condition, Segment
    from inference.routes.table import LoadedRoute
    from inference.routes.versions import Version


PINNED: Final = "pinned"
"""The variant of predictions by a version that the caller named."""


@dataclass(frozen=True, slots=True, eq=False)
class ServedArm:
    """One arm of a route, ready to score.

    Attributes:
        conduct: How its version behaves, whatever route it is in.
    """

    arm: Arm
    scorer: Scorer
    conduct: Conduct


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """Everything a request of one model needs, fixed at the moment its route was taken over.

    Attributes:
        is_durable: Whether a reply waits until its prediction is recorded.
        takes_defaults: Whether a request whose rows cannot be read is scored with defaults.
        log_basis_points: The share of the requests that is recorded, of 10,000.
        concealment: Hashes what is kept hashed; None where nothing is.
    """

    name: str
    revision: int
    label: str
    is_durable: bool
    takes_defaults: bool
    requirements: Requirements
    contract: Contract
    assembler: VectorAssembler
    salt: str
    weights: tuple[int, ...]
    arms: tuple[ServedArm, ...]
    concealment: Concealment | None = None
    log_basis_points: int = BASIS_POINTS

    def records(self, asked: Asked) -> bool:
        """Whether a request's prediction is recorded: always the same for the same request key."""
        return self.log_basis_points == BASIS_POINTS or is_logged(
            self.name, asked.request_key, self.log_basis_points
        )

    def conceal(self, asked: Asked) -> Asked:
        """Return a request as it may be looked up and written."""
        if self.concealment is None:
            return asked
        return replace(
            asked,
            entities=self.concealment.entities(asked.entities),
            context=self.concealment.context(asked.context),
            request_key=self.concealment.request_key(self.label, asked.request_key),
        )

    def pinned(self, version: Version) -> ServedArm:
        """The arm of requests that name their version: no assignment chose it, and its variant says so."""
        roles = {served.arm.version.digest: served.arm.role for served in self.all_arms}
        role = roles.get(version.ref.digest, Role.CHALLENGER)
        return ServedArm(Arm(PINNED, role, version.ref, 0), version.scorer, version.conduct)

    @property
    def all_arms(self) -> tuple[ServedArm, ...]:
        """Every arm that may answer."""
        return self.arms

    def assign(self, asked: Asked) -> ServedArm:
        """The arm that answers: the same for the same sticky key as long as salt and weights stand."""
        return self._choose(asked, self.arms, self.weights)

    def _choose(self, asked: Asked, arms: tuple[ServedArm, ...], weights: tuple[int, ...]) -> ServedArm:
        if len(arms) == 1:
            return arms[0]
        sticky = self.requirements.sticky_entity
        key = asked.entities[sticky] if sticky else asked.request_key
        return arms[choose(weights, point(self.salt, key))]

    def assign_by_key(self, asked: Asked) -> ServedArm:
        """The arm that answers a request without entities: the same for the same request key."""
        return self.arms[choose(self.weights, point(self.salt, asked.request_key))]


@dataclass(frozen=True, slots=True, eq=False)
class ServedSegment:
    """A segment of a route, ready to score."""

    segment: Segment
    weights: tuple[int, ...]
    arms: tuple[ServedArm, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SegmentedModel(ServedModel):
    """A served model whose route has segments; one whose route has none is not asked about any."""

    segments: tuple[ServedSegment, ...] = ()

    @property
    def all_arms(self) -> tuple[ServedArm, ...]:
        """See `ServedModel.all_arms`."""
        return (*self.arms, *(arm for one in self.segments for arm in one.arms))

    def assign(self, asked: Asked) -> ServedArm:
        """See `ServedModel.assign`: among the arms of the first segment that the request is of."""
        for one in self.segments:
            if one.segment.holds(asked.entities, asked.context):
                return self._choose(asked, one.arms, one.weights)
        return self._choose(asked, self.arms, self.weights)


class ServedModels:
    """Makes served models of loaded routes, for one project.

    Vectors of a model are made alike whatever its route: its assembler is made once.

    Args:
        project: Declares the models.
        concealment: Hashes what is kept hashed; None where nothing is.
    """

    def __init__(self, project: Project, concealment: Concealment | None = None) -> None:
        self._project = project
        self._concealment = concealment
        self._assemblers: dict[str, tuple[Contract, VectorAssembler]] = {}

    def contract_hash(self, model: str) -> str:
        """SHA-256 of the contract that versions of a model must be trained on, hex.

        Raises:
            VersionRefused: The project has no such model.
        """
        return self._features(model)[0].hash.hex()

    def build(self, loaded: LoadedRoute) -> ServedModel:
        """Put together what requests of a model need.

        Raises:
            VersionRefused: The project has no such model.
            InvalidRoute: A segment asks for what no request of the model can say.
        """
        route = loaded.route
        contract, assembler = self._features(route.model)
        spec = self._project.models[route.model]
        parts: dict[str, Any] = {
            "name": route.model,
            "revision": route.revision,
            "label": spec.label.name,
            "is_durable": spec.log == "durable",
            "takes_defaults": spec.when_unreadable == "default",
            "log_basis_points": spec.log_basis_points,
            "requirements": Requirements(contract.entities, contract.inputs, route.sticky_entity),
            "contract": contract,
            "assembler": assembler,
            "salt": route.salt,
            "weights": weights_of(route.arms),
            "arms": _served(route.arms, loaded),
            "concealment": self._concealment,
        }
        if not route.segments:
            return ServedModel(**parts)
        self._check_segments(route, contract)
        segments = tuple(
            ServedSegment(segment, weights_of(segment.arms), _served(segment.arms, loaded))
            for segment in route.segments
        )
        return SegmentedModel(**parts, segments=segments)

    def _check_segments(self, route: Route, contract: Contract) -> None:
        for segment in route.segments:
            for condition in segment.conditions:
                problem = self._problem_with(condition, route, contract)
                if problem:
                    raise InvalidRoute(
                        f"{route.model!r} revision {route.revision}: segment {segment.name!r}: "
                        f"{condition.field} {condition.name!r} {problem}"
                    )

    def _problem_with(self, condition: Condition, route: Route, contract: Contract) -> str | None:
        name = condition.name
        if condition.field == "entity":
            known = {*self._project.entities, *contract.entities, route.sticky_entity}
            if name not in known:
                return f"is unknown: the project has {', '.join(sorted(known - {''}))}"
        elif name not in contract.inputs:
            return f"is no input of the model: it reads {', '.join(contract.inputs) or 'none'}"
        elif any(KIND_OF[kind] is not contract.inputs[name] for kind in condition.kinds):
            return f"is a {contract.inputs[name]}, which it is not compared with"
        hashed = self._concealment and (
            self._concealment.hashed_entities
            if condition.field == "entity"
            else self._concealment.hashed_inputs
        )
        if hashed and name in hashed:
            return "is hashed wherever it is kept: a route that names its values would tell them"
        return None

    def _features(self, model: str) -> tuple[Contract, VectorAssembler]:
        if model not in self._assemblers:
            try:
                contract = self._project.contract(model)
            except KeyError as error:
                raise VersionRefused("UNKNOWN_MODEL", error.args[0]) from error
            self._assemblers[model] = contract, _warm_assembler(contract)
        return self._assemblers[model]


def _served(arms: tuple[Arm, ...], loaded: LoadedRoute) -> tuple[ServedArm, ...]:
    return tuple(_served_arm(arm, loaded.versions[arm.version.digest]) for arm in arms)


def _served_arm(arm: Arm, version: Version) -> ServedArm:
    return ServedArm(arm, version.scorer, version.conduct)


def _warm_assembler(contract: Contract) -> VectorAssembler:
    """Assemble once, so that no request waits for what is computed at first use, such as a zone's table."""
    assembler = VectorAssembler(contract)
    nothing = Requests(
        time_us=np.zeros(1, np.int64),
        entities={name: np.array([""], dtype=object) for name in contract.entities},
        context={name: np.array([null_of(kind)], dtype_of(kind)) for name, kind in contract.inputs.items()},
    )
    assembler.assemble(nothing, [None] * len(contract.views))
    return assembler
