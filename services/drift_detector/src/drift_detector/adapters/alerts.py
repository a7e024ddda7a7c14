"""Alerts on their compacted topic, and protobuf for them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Literal

from bus.events import Event
from google.protobuf.message import DecodeError
from monitoring.alerts import Alert, AlertState
from monitoring.monitors import MonitorKind
from tidemark.monitoring.v1 import alert_pb2 as proto
from tidemark.monitoring.v1.alert_pb2 import AlertChanged, Evidence

from drift_detector.domain.figures import Assessment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.follow import Follower
    from bus.producer import Publisher
    from bus.received import Received
    from google.protobuf.timestamp_pb2 import Timestamp

    from drift_detector.domain.alerting import Notice
    from drift_detector.domain.figures import Figure

_log: Final = logging.getLogger(__name__)
_MOST_EVIDENCE: Final = 10
_TYPES: Final = {
    MonitorKind.DATA_QUALITY: proto.ALERT_TYPE_DATA_QUALITY,
    MonitorKind.FEATURE_DRIFT: proto.ALERT_TYPE_FEATURE_DRIFT,
    MonitorKind.PREDICTION_DRIFT: proto.ALERT_TYPE_PREDICTION_DRIFT,
    MonitorKind.LABEL_DRIFT: proto.ALERT_TYPE_LABEL_DRIFT,
    MonitorKind.PERFORMANCE: proto.ALERT_TYPE_PERFORMANCE_DECAY,
    MonitorKind.CONCEPT_DRIFT: proto.ALERT_TYPE_CONCEPT_DRIFT,
    MonitorKind.CONSISTENCY: proto.ALERT_TYPE_FEATURE_CONSISTENCY,
    MonitorKind.FRESHNESS: proto.ALERT_TYPE_FEATURE_FRESHNESS,
}
_SOURCE: Final = "drift_detector"


class KnownAlerts:
    """The newest state of every alert, as its topic tells it; `Follower` calls it."""

    def __init__(self) -> None:
        self.newest: dict[str, Alert] = {}

    async def __call__(self, received: Received) -> None:
        """Take a state in; an older one changes nothing."""
        try:
            message = AlertChanged.FromString(received.event.data)
            alert = alert_of(message)
        except (DecodeError, ValueError) as error:
            _log.warning("passed over an unreadable alert at offset %d: %s", received.offset, error)
            return
        known = self.newest.get(message.fingerprint)
        if known is None or (known.episode, known.revision) < (alert.episode, alert.revision):
            self.newest[message.fingerprint] = alert


class BusAlerts:
    """`Alerts` on the bus.

    Args:
        known: What `follower` fills.
    """

    def __init__(self, publisher: Publisher, topic: str, follower: Follower, known: KnownAlerts) -> None:
        self._publisher = publisher
        self._topic = topic
        self._follower = follower
        self._known = known

    async def current(self) -> Mapping[str, Alert]:
        """See `Alerts.current`."""
        await self._follower.caught_up()
        return self._known.newest

    async def tell(self, notices: Sequence[Notice]) -> None:
        """See `Alerts.tell`."""
        await self._publisher.publish_all(self._topic, [alert_event(one) for one in notices])


def alert_event(notice: Notice) -> Event:
    """Tell an alert's state: true at the window's end, known when its figures were taken."""
    alert, monitor, told = notice.alert, notice.monitor, notice.told
    kind = _TYPES[monitor.kind]
    message = AlertChanged(
        fingerprint=notice.fingerprint,
        type=kind,
        state=proto.AlertState.Value(f"ALERT_STATE_{alert.state.value}"),
        severity=proto.Severity.Value(f"SEVERITY_{monitor.severity.value}"),
        model=told.model,
        monitor=told.monitor,
        version=told.version,
        owner=notice.owner,
        runbook=runbook_of(kind),
        summary=notice.summary,
        evidence=[_evidence(figure) for figure in _telling(told.figures)],
        episode=alert.episode,
        revision=alert.revision,
        requests_affected=alert.requests_affected,
        breached_windows=alert.breached_windows,
        clear_windows=alert.clear_windows,
    )
    _set(message.pending_since, alert.pending_since_us)
    _set(message.changed_at, alert.changed_at_us)
    for name in ("firing_since", "clearing_since", "resolved_at"):
        time_us: int | None = getattr(alert, f"{name}_us")
        if time_us is not None:
            _set(getattr(message, name), time_us)
    return Event.of(
        message,
        id=notice.id,
        source=_SOURCE,
        key=notice.fingerprint,
        time_us=alert.changed_at_us,
        recorded_time_us=told.decided_us,
    )


def alert_of(message: AlertChanged) -> Alert:
    """Read an alert's state back.

    Raises:
        ValueError: Its state is none that this code knows.
    """
    return Alert(
        state=AlertState(proto.AlertState.Name(message.state).removeprefix("ALERT_STATE_")),
        episode=message.episode,
        revision=message.revision,
        pending_since_us=message.pending_since.ToMicroseconds(),
        firing_since_us=_time(message, "firing_since"),
        clearing_since_us=_time(message, "clearing_since"),
        resolved_at_us=_time(message, "resolved_at"),
        changed_at_us=message.changed_at.ToMicroseconds(),
        requests_affected=message.requests_affected,
        breached_windows=message.breached_windows,
        clear_windows=message.clear_windows,
    )


def runbook_of(kind: proto.AlertType.ValueType) -> str:
    """Return the runbook of a type of alert."""
    name = proto.AlertType.Name(kind).removeprefix("ALERT_TYPE_")
    return f"docs/runbooks/{name.lower().replace('_', '-')}.md"


def _telling(figures: Sequence[Figure]) -> Sequence[Figure]:
    """Return what is beyond its threshold, as it was ranked; everything where nothing is."""
    told = [one for one in figures if one.value is not None]
    breached = [one for one in told if one.assessment is Assessment.BREACHED]
    return (breached or told)[:_MOST_EVIDENCE]


def _evidence(figure: Figure) -> Evidence:
    return Evidence(
        subject=figure.subject,
        slice=figure.part,
        statistic=figure.statistic,
        before=figure.reference,
        now=figure.value or 0.0,
        threshold=figure.threshold,
        rows=figure.rows,
    )


def _set(field: Timestamp, time_us: int) -> None:
    field.FromMicroseconds(time_us)


def _time(
    message: AlertChanged, name: Literal["firing_since", "clearing_since", "resolved_at"]
) -> int | None:
    return getattr(message, name).ToMicroseconds() if message.HasField(name) else None
