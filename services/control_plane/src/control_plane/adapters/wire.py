"""Protobuf on one side, the domain on the other: what is read."""

from collections.abc import Iterable
from typing import Any, Literal, TypeVar

from bus.events import Event
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from tidemark.monitoring.v1.monitor_pb2 import (
    MONITOR_KIND_CONSISTENCY,
    MONITOR_KIND_FRESHNESS,
    MonitorMeasured,
)
from tidemark.monitoring.v1.variants_pb2 import BinaryMetrics, ComparedMeasure, VariantsCompared
from tidemark.monitoring.v1.variants_pb2 import Verdict as VerdictMessage
from tidemark.registry.v1.model_pb2 import GateResult, ModelRegistered
from tidemark.registry.v1.route_pb2 import RouteFollowed, RouteUptake
from tidemark.retraining.v1.retrain_pb2 import RetrainRequested

from control_plane.domain.comparisons import Comparison, Quality, Verdict
from control_plane.domain.followers import Follower, Uptake
from control_plane.domain.governing import RetrainRequest
from control_plane.domain.versions import Claim, Evaluation, Gate, Provenance

_OF_THE_STORE = {MONITOR_KIND_CONSISTENCY, MONITOR_KIND_FRESHNESS}
_Side = Literal["champion", "challenger"]
_AnyMessage = TypeVar("_AnyMessage", bound=Message)


class UnreadableMessage(Exception):
    """An event's data does not say what it should.

    Attributes:
        reason: Which rule it breaks, in UPPER_SNAKE.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def claim_of(event: Event) -> Claim:
    """Reads `ModelRegistered`.

    Raises:
        UnreadableMessage: the data is no such message, or lacks a field.
    """
    message = _read(ModelRegistered, event, ("model", "version", "digest", "package_uri"))
    return Claim(
        model=message.model,
        version=message.version,
        digest=message.digest,
        package_uri=message.package_uri,
        contract_hash=message.contract_hash or None,
        provenance=Provenance(
            registered_by=message.registered_by,
            owner=message.owner,
            risk=message.risk,
            retrain_request_id=message.retrain_request_id,
            gates=tuple(_gate(gate) for gate in message.gates),
            evaluations=tuple(
                Evaluation(part.scope, part.part, part.rows, dict(part.metrics), dict(part.champion_metrics))
                for part in message.evaluations
            ),
        ),
    )


def retrain_request_of(event: Event) -> RetrainRequest:
    """Reads `RetrainRequested`.

    Raises:
        UnreadableMessage: the data is no such message, or lacks a field.
    """
    message = _read(RetrainRequested, event, ("request_id", "model"))
    details: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    for said_elsewhere in ("request_id", "model"):
        del details[said_elsewhere]
    return RetrainRequest(
        request_id=message.request_id,
        model=message.model,
        policy=message.policy,
        requested_at_us=_time_us(message.requested_at) or event.time_us,
        expires_at_us=_time_us(message.expires_at) if message.HasField("expires_at") else None,
        details=details,
    )


def comparison_of(event: Event) -> Comparison:
    """Reads `VariantsCompared`; a verdict from the future is read as UNSPECIFIED, which decides nothing.

    Raises:
        UnreadableMessage: the data is no such message, or lacks a field.
    """
    message = _read(VariantsCompared, event, ("model", "window_start", "window_end"))
    _require(message.champion, "version", "champion.version")
    _require(message.challenger, "version", "challenger.version")
    end_us = _time_us(message.window_end)
    return Comparison(
        model=message.model,
        champion=message.champion.version,
        challenger=message.challenger.version,
        window_start_us=_time_us(message.window_start),
        window_end_us=end_us,
        revision=message.revision,
        provisional=message.provisional,
        verdict=_verdict(message.verdict),
        reason=message.reason,
        watermark_us=max(event.recorded_time_us, end_us),
        paired=message.paired,
        champion_quality=_quality(message.champion, message.measures, "champion"),
        challenger_quality=_quality(message.challenger, message.measures, "challenger"),
    )


def measured_until_of(event: Event) -> tuple[str, int] | None:
    """Reads of `MonitorMeasured` the model and how far event time has come.

    None for one about the feature store: it is told when the lake has come along, and moves no time.

    Raises:
        UnreadableMessage: the data is no such message, or lacks a field.
    """
    message = _read(MonitorMeasured, event, ("model", "window_end"))
    if message.kind in _OF_THE_STORE:
        return None
    return message.model, _time_us(message.window_end)


def follower_of(event: Event, *, heard_at_us: int) -> Follower:
    """Reads `RouteFollowed`.

    Raises:
        UnreadableMessage: the data is no such message, or lacks a field.
    """
    message = _read(RouteFollowed, event, ("replica", "model"))
    known = RouteUptake.DESCRIPTOR.values_by_number.get(message.uptake)
    name = known.name.removeprefix("ROUTE_UPTAKE_") if known else Uptake.UNSPECIFIED.value
    return Follower(
        replica=message.replica,
        role=message.role,
        model=message.model,
        revision=message.revision,
        serving_revision=message.serving_revision,
        uptake=Uptake(name),
        reason=message.reason,
        detail=message.detail,
        beat_seconds=message.beat_seconds,
        followed_at_us=_time_us(message.followed_at) or event.time_us,
        since_us=heard_at_us,
        heard_at_us=heard_at_us,
    )


def _read(kind: type[_AnyMessage], event: Event, required: Iterable[str]) -> _AnyMessage:
    message = kind()
    name = kind.DESCRIPTOR.name
    try:
        message.ParseFromString(event.data)
    except DecodeError as error:
        raise UnreadableMessage("UNREADABLE_MESSAGE", f"The data is no {name}: {error}.") from error
    missing = [field for field in required if not _has(message, field)]
    if missing:
        raise UnreadableMessage("MISSING_FIELD", f"{name} lacks {', '.join(missing)}.")
    return message


def _has(message: Message, field: str) -> bool:
    value = getattr(message, field)
    return message.HasField(field) if isinstance(value, Message) else bool(value)


def _require(message: Message, field: str, told: str) -> None:
    if not _has(message, field):
        raise UnreadableMessage("MISSING_FIELD", f"The message lacks {told}.")


def _gate(gate: GateResult) -> Gate:
    return Gate(
        gate.gate,
        gate.passed,
        gate.reason,
        gate.value if gate.HasField("value") else None,
        gate.threshold if gate.HasField("threshold") else None,
    )


def _quality(metrics: BinaryMetrics, measures: Iterable[ComparedMeasure], side: _Side) -> Quality:
    """Reads what was measured; events from before measures have the figures of two classes."""
    measured = [(one.name, getattr(one, side).value) for one in measures if one.HasField(side)]
    known: tuple[Literal["log_loss", "roc_auc"], ...] = ("log_loss", "roc_auc")
    before = [(name, float(getattr(metrics, name))) for name in known if metrics.HasField(name)]
    return Quality(metrics.labelled, tuple(measured or before))


def _verdict(number: int) -> Verdict:
    known = VerdictMessage.DESCRIPTOR.values_by_number.get(number)
    return Verdict(known.name.removeprefix("VERDICT_")) if known else Verdict.UNSPECIFIED


def _time_us(timestamp: Timestamp) -> int:
    return timestamp.seconds * 1_000_000 + timestamp.nanos // 1000
