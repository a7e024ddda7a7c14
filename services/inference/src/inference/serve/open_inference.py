"""The Open Inference Protocol on the data plane, whatever carries it: see `docs/open-inference.md`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Final

from feature_store import FieldType

from inference.domain.errors import InvalidRequest, ModelNotReady, ScoringError
from inference.domain.questions import CONTEXT, ENTITY, FEATURES, Receipt, read, timeout_s
from inference.domain.requests import MAX_NAME_BYTES
from inference.domain.tensors import BYTES
from inference.serve.outputs import TensorInfo, Wanted, inputs_of, outputs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from model_package import Scorer

    from inference.clocks import WallClock
    from inference.domain.questions import Inference, Question
    from inference.domain.tensors import Tensor
    from inference.routes.serving import ServedModel
    from inference.routes.table import RouteTable
    from inference.scored import Scored
    from inference.serve.given import GivenVectors
    from inference.serve.plane import ScoringPlane

SERVER: Final = "tidemark-inference"
PLATFORM: Final = "onnx_onnxv1"
_DATATYPES: Final = {
    FieldType.NUMBER: "FP64",
    FieldType.TEXT: BYTES,
    FieldType.FLAG: "BOOL",
    FieldType.TIME: "INT64",
}


@dataclass(frozen=True, slots=True, eq=False)
class Inferred:
    """An answer.

    Attributes:
        version: Who answered; empty where rows were answered by several versions.
        id: The caller's, empty where there was none.
        parameters: The prediction's id, and its version and variant where all rows have the same.
    """

    model: str
    version: str
    id: str
    parameters: Mapping[str, str]
    outputs: Sequence[Tensor]


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What the server says of itself."""

    name: str
    version: str
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model is asked and what it answers.

    Attributes:
        versions: Those that may be named: of the route, in its order, then of the route before.
        properties: What the protocol has no field for.
    """

    name: str
    versions: Sequence[str]
    platform: str
    inputs: Sequence[TensorInfo]
    outputs: Sequence[TensorInfo]
    properties: Mapping[str, str]


class OpenInference:
    """Answers the protocol.

    Args:
        routes: The models served now.
        plane: Scores by entity keys.
        given: Scores given vectors.
        is_ready: As the health service says, but for a stop.
        is_stopping: Whether requests are better sent elsewhere from now on.
    """

    def __init__(
        self,
        *,
        routes: RouteTable[ServedModel],
        plane: ScoringPlane,
        given: GivenVectors,
        is_ready: Callable[[], bool],
        is_stopping: Callable[[], bool],
        wall_clock_us: WallClock,
        new_id: Callable[[], str],
    ) -> None:
        self._routes = routes
        self._plane = plane
        self._given = given
        self._is_ready = is_ready
        self._is_stopping = is_stopping
        self._wall_clock_us = wall_clock_us
        self._new_id = new_id

    def server(self) -> ServerInfo:
        """What answers."""
        return ServerInfo(SERVER, version_of(SERVER), ("binary_tensor_data",))

    def is_ready(self) -> bool:
        """Whether requests are welcome here."""
        return self._is_ready() and not self._is_stopping()

    def is_model_ready(self, model: str, version: str) -> bool:
        """Whether requests for a model, or for a version of it, are welcome."""
        try:
            self.check_ready(model, version)
        except ScoringError:
            return False
        return True

    def check_ready(self, model: str, version: str) -> None:
        """Complain where requests for a model, or a version of it, are not welcome.

        Raises:
            ScoringError: Saying why: it cannot score now, or this server stops, which scores on for a while.
        """
        self._find(model, version)
        if self._is_stopping():
            raise ModelNotReady(model, "this server stops: ask another")

    def model(self, name: str, version: str) -> ModelInfo:
        """What a model reads and gives.

        Raises:
            ScoringError: It is not served here, or not in that version.
        """
        served = self._find(name, version)
        warm = self._routes.warm(name)
        about = next((one for one in warm if one.ref.version == version), warm[0])
        manifest = about.scorer.package.manifest
        return ModelInfo(
            name=name,
            versions=[one.ref.version for one in warm],
            platform=PLATFORM,
            inputs=_inputs_of(served),
            outputs=outputs_of(self._scorers(served, version)),
            properties={
                "contract_hash": served.contract.hash.hex(),
                "decision_threshold": str(manifest.decision_threshold),
                "feature_names": json.dumps(served.contract.feature_names),
                "label": served.label,
            },
        )

    async def infer(
        self, inference: Inference, *, time_left_s: float | None, traceparent: str | None
    ) -> Inferred:
        """Score the rows of a request, all or none.

        Raises:
            ScoringError: Saying why there is no score.
        """
        served = self._find(inference.model, inference.version)
        scorers = self._scorers(served, inference.version)
        wanted = Wanted(inference.outputs, inference.parameters, scorers)
        time_left_s = _sooner(time_left_s, timeout_s(inference.parameters))
        base_id = inference.id or self._new_id()
        receipt = Receipt(self._wall_clock_us(), base_id, traceparent)
        question = read(inference, served.contract, _matrix_names(scorers), receipt)
        scored = await self._score(inference, served, question, time_left_s)
        return _inferred(inference, base_id, scored, wanted)

    async def _score(
        self, inference: Inference, served: ServedModel, question: Question, time_left_s: float | None
    ) -> Sequence[Scored]:
        if question.vectors is None:
            return await self._plane.score_all(question.rows, time_left_s, inference.version)
        pinned = None
        if inference.version:
            pinned = served.pinned(self._routes.find_version(inference.model, inference.version))
        return await self._given.score(
            served, question.rows, question.vectors, pinned=pinned, time_left_s=time_left_s
        )

    def _scorers(self, served: ServedModel, version: str) -> Sequence[Scorer]:
        """Return the versions that may answer."""
        if version:
            return [self._routes.find_version(served.name, version).scorer]
        return [arm.scorer for arm in served.all_arms]

    def _find(self, model: str, version: str) -> ServedModel:
        if not model or len(model.encode()) > MAX_NAME_BYTES:
            raise InvalidRequest("model_name", f"must be a name of 1 to {MAX_NAME_BYTES} bytes")
        served = self._routes.find(model)
        if version:
            self._routes.find_version(model, version)
        return served


def _matrix_names(scorers: Sequence[Scorer]) -> Collection[str]:
    """What a matrix of all features may be called: `features`, or as a graph calls its input."""
    return {FEATURES, *(name for scorer in scorers for name in inputs_of(scorer))}


def _sooner(one_s: float | None, other_s: float | None) -> float | None:
    return min((time for time in (one_s, other_s) if time is not None), default=None)


def _inputs_of(served: ServedModel) -> list[TensorInfo]:
    contract = served.contract
    return [
        *(TensorInfo(f"{ENTITY}{name}", BYTES, (-1,)) for name in served.requirements.entities),
        *(TensorInfo(f"{CONTEXT}{name}", _DATATYPES[kind], (-1,)) for name, kind in contract.inputs.items()),
        TensorInfo(FEATURES, "FP32", (-1, len(contract.feature_names))),
    ]


def _inferred(inference: Inference, base_id: str, scored: Sequence[Scored], wanted: Wanted) -> Inferred:
    versions = {one.arm.version.version for one in scored}
    variants = {one.arm.variant for one in scored}
    parameters = {"prediction_id": base_id}
    if len(versions) == 1:
        parameters["version"] = next(iter(versions))
    if len(variants) == 1:
        parameters["variant"] = next(iter(variants))
    return Inferred(
        model=inference.model,
        version=parameters.get("version", ""),
        id=inference.id,
        parameters=parameters,
        outputs=wanted.tensors(scored),
    )
