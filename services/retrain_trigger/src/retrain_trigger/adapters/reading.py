"""From events to facts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeVar

from google.protobuf.message import DecodeError, Message
from monitoring.monitors import MonitorKind
from tidemark.governance.v1 import approval_pb2 as governance
from tidemark.governance.v1.approval_pb2 import ApprovalDecided
from tidemark.monitoring.v1 import monitor_pb2 as monitoring
from tidemark.monitoring.v1.monitor_pb2 import Measurement, MonitorMeasured
from tidemark.registry.v1.model_pb2 import ModelRegistered
from tidemark.registry.v1.route_pb2 import RouteChanged
from tidemark.scoring.v1.prediction_pb2 import ROLE_CHAMPION

from retrain_trigger.domain.facts import Decided, Measured, Registered, Routed
from retrain_trigger.domain.state import Figure
from retrain_trigger.ports import UnreadableFact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bus.events import Event

    from retrain_trigger.adapters.topics import Topics
    from retrain_trigger.domain.facts import Fact

    Reader = Callable[[Event], Fact | None]

# Enough to judge by; a project may have hundreds of features.
_MOST_FIGURES: Final = 8
_MOST_AHEAD_US: Final = 86_400_000_000
_BREACHED: Final = monitoring.ASSESSMENT_BREACHED
# They judge the store, not the data or the model; told when the lake has come along, they would move time.
_OF_THE_STORE: Final = {monitoring.MONITOR_KIND_CONSISTENCY, monitoring.MONITOR_KIND_FRESHNESS}
_JUDGED: Final = {monitoring.ASSESSMENT_OK: False, _BREACHED: True}

_Said = TypeVar("_Said", bound=Message)


def readers(topics: Topics) -> Mapping[str, Reader]:
    """Say how what is on each input is read; None is of no concern here.

    Each raises `UnreadableFact`.
    """
    return {
        topics.measured: measured_of,
        topics.registered: registered_of,
        topics.routes: routed_of,
        topics.decided: decided_of,
    }


def measured_of(event: Event) -> Measured | None:
    """Read a MonitorMeasured; None for one about the feature store."""
    said = _parse(MonitorMeasured, event)
    if said.kind in _OF_THE_STORE:
        return None
    _require(said, "model", "monitor", "version", "window_start", "window_end")
    kind = monitoring.MonitorKind.Name(said.kind) if said.kind in monitoring.MonitorKind.values() else ""
    start_us, end_us = said.window_start.ToMicroseconds(), said.window_end.ToMicroseconds()
    if not 0 <= start_us < end_us:
        raise UnreadableFact("NOT_A_WINDOW", f"{said.monitor} measured [{start_us} us, {end_us} us)")
    if end_us > event.recorded_time_us + _MOST_AHEAD_US:
        # Event time would jump there, and every request would expire.
        raise UnreadableFact(
            "FROM_THE_FUTURE", f"{said.monitor} measured a window before it ended: {event.id}"
        )
    name = kind.removeprefix("MONITOR_KIND_")
    if name not in set(MonitorKind):
        raise UnreadableFact("UNKNOWN_KIND", f"{said.monitor} is of kind {said.kind}")
    coverage = said.label_coverage if said.HasField("label_coverage") else None
    if said.rows < 0 or (coverage is not None and not 0.0 <= coverage <= 1.0):
        raise UnreadableFact("NOT_A_SHARE", f"{said.monitor} has {said.rows} rows, label coverage {coverage}")
    return Measured(
        model=said.model,
        monitor=said.monitor,
        kind=MonitorKind(name),
        version=said.version,
        window_start_us=start_us,
        window_end_us=end_us,
        revision=said.revision,
        provisional=said.provisional,
        amends=said.amends,
        rows=said.rows,
        label_coverage=coverage,
        breached=_JUDGED.get(said.assessment),
        clear=said.clear and said.assessment == monitoring.ASSESSMENT_OK,
        figures=_figures(said),
        reason=said.reason.rstrip("."),
    )


def registered_of(event: Event) -> Registered:
    """Read a ModelRegistered."""
    said = _parse(ModelRegistered, event)
    _require(said, "model", "version")
    until = said.trained_until.ToMicroseconds() if said.HasField("trained_until") else None
    return Registered(said.model, said.version, until, said.algorithm, said.owner, said.retrain_request_id)


def routed_of(event: Event) -> Routed | None:
    """Read a RouteChanged; None for the end of a route."""
    if event.tombstone:
        return None
    said = _parse(RouteChanged, event)
    _require(said, "model")
    champions = [arm.version.version for arm in said.arms if arm.role == ROLE_CHAMPION]
    if len(champions) != 1 or not champions[0]:
        raise UnreadableFact(
            "NO_ONE_CHAMPION", f"revision {said.revision} of {said.model} has {len(champions)} champions"
        )
    return Routed(said.model, said.revision, champions[0], event.time_us)


def decided_of(event: Event) -> Decided | None:
    """Read an ApprovalDecided; None for one of something else than a request."""
    said = _parse(ApprovalDecided, event)
    if said.kind != governance.SUBJECT_KIND_RETRAIN:
        return None
    _require(said, "model", "subject_id", "approval_id", "decided_by")
    if said.decision not in (governance.DECISION_APPROVED, governance.DECISION_REJECTED):
        raise UnreadableFact("NO_DECISION", f"{said.approval_id} on {said.subject_id} is {said.decision}")
    return Decided(
        model=said.model,
        request_id=said.subject_id,
        approval_id=said.approval_id,
        approved=said.decision == governance.DECISION_APPROVED,
        decided_by=said.decided_by,
        comment=said.comment,
        decided_at_us=said.decided_at.ToMicroseconds() if said.HasField("decided_at") else event.time_us,
    )


def _figures(said: MonitorMeasured) -> tuple[Figure, ...]:
    telling = [one for one in said.measurements if one.HasField("value") and math.isfinite(one.value)]
    if said.assessment == _BREACHED:
        telling = [one for one in telling if one.assessment == _BREACHED] or telling
    return tuple(_figure(one) for one in telling[:_MOST_FIGURES])


def _figure(said: Measurement) -> Figure:
    return Figure(
        subject=said.subject,
        part=said.slice,
        statistic=said.statistic,
        before=_finite(said.reference) if said.HasField("reference") else None,
        now=said.value,
        threshold=_finite(said.threshold) if said.HasField("threshold") else None,
        rows=said.rows,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _parse(kind: type[_Said], event: Event) -> _Said:
    try:
        return kind.FromString(event.data)
    except DecodeError as error:
        raise UnreadableFact("MALFORMED_PAYLOAD", f"not a {kind.__name__}: {error}") from error


def _require(said: Message, *names: str) -> None:
    for name in names:
        field = said.DESCRIPTOR.fields_by_name[name]
        is_there = said.HasField(name) if field.message_type else getattr(said, name)
        if not is_there:
            raise UnreadableFact("MISSING_FIELD", f"{said.DESCRIPTOR.name}.{name} is empty")
