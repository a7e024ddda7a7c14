"""Protobuf to domain and back. Protobuf types stop here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from model_package.signature import datatype_of
from tidemark.common.v1.value_pb2 import Value
from tidemark.registry.v1.route_pb2 import RouteChanged, RouteFollowed
from tidemark.scoring.v1.output_pb2 import Output
from tidemark.scoring.v1.prediction_pb2 import PredictionMade
from tidemark.scoring.v1.scoring_requested_pb2 import ScoringRequested
from tidemark.scoring.v1.scoring_service_pb2 import ScoreResponse

from inference.domain.errors import InvalidRequest
from inference.domain.requests import Asked, recorded_time
from inference.domain.routes import Arm, Role, Route, VersionRef
from inference.domain.segments import Condition, Segment
from inference.shadow.handlers import Logged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bus.events import Event
    from feature_store.scalars import Scalar
    from numpy.typing import NDArray
    from tidemark.registry.v1.route_pb2 import Arm as ArmMessage
    from tidemark.registry.v1.route_pb2 import Condition as ConditionMessage
    from tidemark.registry.v1.route_pb2 import VersionRef as VersionRefMessage
    from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest

    from inference.domain.segments import Field
    from inference.routes.following import Following
    from inference.scored import Answers, Scored
    from inference.shadow.handlers import ShadowScore

_SECOND_US = 1_000_000
_NANOS = 1_000_000_000
_KNOWN_ROLES = frozenset(map(int, Role))


def asked_of(
    request: ScoreRequest, *, now_us: int, new_id: Callable[[], str], traceparent: str | None = None
) -> Asked:
    """Read a scoring request; what it leaves out is filled in.

    Raises:
        InvalidRequest: A value has no kind, or a time is none.
    """
    request_time_us = now_us
    if request.HasField("request_time"):
        request_time_us = _time_us("request_time", request.request_time)
    prediction_id = request.prediction_id or new_id()
    return Asked(
        model=request.model,
        entities=_entities_of(request),
        context=_context_of(request),
        request_time_us=request_time_us,
        prediction_id=prediction_id,
        request_key=request.request_key or prediction_id,
        recorded_time_us=recorded_time(request_time_us, now_us),
        traceparent=traceparent,
    )


def asked_by(event: Event) -> Asked:
    """Read a scoring request that is an event: what it leaves out is the event's.

    Raises:
        DecodeError: Its data is no `ScoringRequested`.
        InvalidRequest: A value has no kind, or a time is none.
    """
    request = ScoringRequested.FromString(event.data)
    request_time_us = event.time_us
    if request.HasField("request_time"):
        request_time_us = _time_us("request_time", request.request_time)
    return Asked(
        model=request.model,
        entities=_entities_of(request),
        context=_context_of(request),
        request_time_us=request_time_us,
        prediction_id=event.id,
        request_key=request.request_key or event.id,
        recorded_time_us=recorded_time(request_time_us, event.recorded_time_us),
        traceparent=event.traceparent,
    )


def _entities_of(request: ScoreRequest | ScoringRequested) -> dict[str, str]:
    # A map's own iteration: `items` and `dict` go through Python's abstract classes.
    entities = request.entities
    return {name: entities[name] for name in entities}


def _context_of(request: ScoreRequest | ScoringRequested) -> dict[str, Scalar]:
    context = request.context
    return {name: _scalar(name, context[name]) for name in context}


def score_response(scored: Scored, *, explain: bool) -> ScoreResponse:
    """Write a reply."""
    response = ScoreResponse()
    write_response(response, scored, explain=explain)
    return response


def write_response(response: ScoreResponse, scored: Scored, *, explain: bool) -> None:
    """Write a reply where it belongs: to put it there later would copy it."""
    arm, row = scored.arm, scored.row
    statuses = scored.vectors.statuses[row].tolist()
    response.prediction_id = scored.asked.prediction_id
    response.score = scored.score
    response.model = scored.asked.model
    response.version = arm.version.version
    response.variant = arm.variant
    response.feature_statuses.extend(statuses)
    if scored.outputs:
        response.outputs.extend(outputs_of(scored.outputs))
    if explain:
        values = scored.vectors.values[row].tolist()
        for name, value, status in zip(scored.contract.feature_names, values, statuses, strict=True):
            response.features.add(name=name, value=value, status=status)


def logged_of(data: bytes) -> Logged:
    """Read a prediction for its shadows.

    Raises:
        DecodeError: The bytes are no `PredictionMade`.
        ValueError: Its vector is no whole number of float32.
    """
    made = PredictionMade.FromString(data)
    return Logged(
        model=made.model,
        version=made.version,
        route_revision=made.route_revision,
        contract_hash=made.features.contract_hash.hex(),
        values=np.frombuffer(made.features.values, dtype="<f4"),
        original=made,
    )


def shadow_made(shadow: ShadowScore) -> PredictionMade:
    """Write what a shadow would have answered: the original, with what differs replaced."""
    made = PredictionMade()
    made.CopyFrom(shadow.logged.original)
    made.version = shadow.version
    made.variant = "shadow"
    made.role = Role.SHADOW  # type: ignore[assignment] # the numbers are the contract's
    made.score = shadow.score
    made.route_revision = shadow.route_revision
    made.latency_us = shadow.latency_us
    del made.outputs[:]
    made.outputs.extend(outputs_of(shadow.outputs or {}))
    return made


def route_of(data: bytes) -> Route:
    """Read a route; a role from the future is read as UNSPECIFIED.

    Raises:
        DecodeError: The bytes are no `RouteChanged`.
    """
    message = RouteChanged.FromString(data)
    return Route(
        model=message.model,
        revision=message.revision,
        salt=message.salt,
        sticky_entity=message.sticky_entity,
        arms=_arms(message.arms),
        shadows=tuple(_version_ref(shadow) for shadow in message.shadows),
        segments=tuple(
            Segment(one.name, tuple(map(_condition, one.conditions)), _arms(one.arms, one.name))
            for one in message.segments
        ),
    )


def _arms(messages: Iterable[ArmMessage], segment: str = "") -> tuple[Arm, ...]:
    return tuple(
        Arm(
            variant=arm.variant,
            role=Role(arm.role) if arm.role in _KNOWN_ROLES else Role.UNSPECIFIED,
            version=_version_ref(arm.version),
            weight_basis_points=arm.weight_basis_points,
            segment=segment,
        )
        for arm in messages
    )


def _condition(message: ConditionMessage) -> Condition:
    """Read a condition; what is from the future has no name, or no value that anything is compared with."""
    field: Field = "entity" if message.WhichOneof("field") == "entity" else "input"
    name = message.entity or message.input
    if message.WhichOneof("test") != "within":
        return Condition(field, name, frozenset(map(_compared, message.any_of.values)))
    within = message.within
    return Condition(
        field,
        name,
        at_least=within.at_least if within.HasField("at_least") else -math.inf,
        less_than=within.less_than if within.HasField("less_than") else math.inf,
    )


def _compared(value: Value) -> Scalar:
    kind = value.WhichOneof("kind")
    # A time, or nothing: conditions on times are refused, whatever the time.
    return getattr(value, kind) if kind in ("number", "text", "flag") else 0


def timestamp(time_us: int) -> Timestamp:
    """Write a time."""
    written = Timestamp()
    write_time(written, time_us)
    return written


def write_time(written: Timestamp, time_us: int) -> None:
    """Write a time where it belongs."""
    written.seconds, micros = divmod(time_us, _SECOND_US)
    written.nanos = micros * 1000


def outputs_of(answers: Answers) -> list[Output]:
    """Write what a model answered beside its score."""
    return [_output(name, answer) for name, answer in answers.items()]


def _output(name: str, answer: NDArray[Any]) -> Output:
    datatype = datatype_of(answer.dtype)
    if datatype == "BYTES":
        return Output(name=name, datatype=datatype, shape=answer.shape, texts=answer.ravel().tolist())
    little_endian = answer.astype(answer.dtype.newbyteorder("<"), copy=False)
    return Output(name=name, datatype=datatype, shape=answer.shape, values=little_endian.tobytes())


def _version_ref(message: VersionRefMessage) -> VersionRef:
    return VersionRef(message.version, message.digest, message.package_uri)


def _scalar(name: str, value: Value) -> Scalar:
    match value.WhichOneof("kind"):
        case "number":
            return value.number
        case "text":
            return value.text
        case "flag":
            return value.flag
        case "time":
            return _time_us(f"context[{name}]", value.time)
        case _:
            raise InvalidRequest(f"context[{name}]", "has no value: set number, text, flag or time")


def value_of(scalar: Scalar) -> Value:
    """Write a request-time input."""
    # A bool is an int to Python: it is asked first.
    if isinstance(scalar, bool):
        return Value(flag=scalar)
    if isinstance(scalar, int):
        return Value(time=timestamp(scalar))
    if isinstance(scalar, str):
        return Value(text=scalar)
    return Value(number=scalar)


def _time_us(field: str, stamp: Timestamp) -> int:
    if not 0 <= stamp.nanos < _NANOS:
        raise InvalidRequest(field, f"has {stamp.nanos} nanos, which must be 0 to 999,999,999")
    return stamp.seconds * _SECOND_US + stamp.nanos // 1000


def route_followed(state: Following, *, replica: str, role: str, beat_seconds: float) -> RouteFollowed:
    """Write the fact that this replica is somewhere with a route."""
    made = RouteFollowed(
        replica=replica,
        role=role,
        model=state.model,
        revision=state.revision,
        uptake=int(state.uptake),  # type: ignore[arg-type] # the numbers are the contract's
        reason=state.reason,
        detail=state.detail,
        serving_revision=state.serving_revision,
        beat_seconds=beat_seconds,
    )
    made.followed_at.FromMicroseconds(state.at_us)
    return made
