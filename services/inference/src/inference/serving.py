"""A model as it is served now: its route, its warm versions and how its vectors are made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from feature_store import Requests
from feature_store.expressions import dtype_of, null_of
from feature_store.online import VectorAssembler

from inference.domain.assignment import BASIS_POINTS, choose, is_logged, point
from inference.domain.requests import Requirements
from inference.domain.routes import Arm, Role
from inference.versions import VersionRefused

if TYPE_CHECKING:
    from feature_store import Contract, Project
    from feature_store.concealment import Concealment
    from model_package import Scorer

    from inference.domain.conduct import Conduct
    from inference.domain.requests import Asked
    from inference.routing import LoadedRoute
    from inference.versions import Version


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
        roles = {served.arm.version.digest: served.arm.role for served in self.arms}
        role = roles.get(version.ref.digest, Role.CHALLENGER)
        return ServedArm(Arm(PINNED, role, version.ref, 0), version.scorer, version.conduct)

    def assign(self, asked: Asked) -> ServedArm:
        """The arm that answers: the same for the same sticky key as long as salt and weights stand."""
        if len(self.arms) == 1:
            return self.arms[0]
        sticky = self.requirements.sticky_entity
        key = asked.entities[sticky] if sticky else asked.request_key
        return self.arms[choose(self.weights, point(self.salt, key))]

    def assign_by_key(self, asked: Asked) -> ServedArm:
        """The arm that answers a request without entities: the same for the same request key."""
        return self.arms[choose(self.weights, point(self.salt, asked.request_key))]


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
        """
        route = loaded.route
        contract, assembler = self._features(route.model)
        spec = self._project.models[route.model]
        return ServedModel(
            name=route.model,
            revision=route.revision,
            label=spec.label.name,
            is_durable=spec.log == "durable",
            takes_defaults=spec.when_unreadable == "default",
            requirements=Requirements(contract.entities, contract.inputs, route.sticky_entity),
            contract=contract,
            assembler=assembler,
            salt=route.salt,
            weights=route.weights,
            arms=tuple(_served(arm, loaded.versions[arm.version.digest]) for arm in route.arms),
            concealment=self._concealment,
            log_basis_points=spec.log_basis_points,
        )

    def _features(self, model: str) -> tuple[Contract, VectorAssembler]:
        if model not in self._assemblers:
            try:
                contract = self._project.contract(model)
            except KeyError as error:
                raise VersionRefused("UNKNOWN_MODEL", error.args[0]) from error
            self._assemblers[model] = contract, _warm_assembler(contract)
        return self._assemblers[model]


def _served(arm: Arm, version: Version) -> ServedArm:
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
