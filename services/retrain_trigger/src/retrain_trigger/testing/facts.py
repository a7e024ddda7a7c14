"""What upstream says: events as the trigger's inputs hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from bus.events import Event
from bus.topics import CATALOGUE
from google.protobuf.timestamp_pb2 import Timestamp
from tidemark.governance.v1.approval_pb2 import ApprovalDecided, Decision, SubjectKind
from tidemark.monitoring.v1.monitor_pb2 import Assessment, Measurement, MonitorKind, MonitorMeasured
from tidemark.registry.v1.model_pb2 import ModelRegistered
from tidemark.registry.v1.route_pb2 import Arm, RouteChanged, VersionRef
from tidemark.scoring.v1.prediction_pb2 import ROLE_CHAMPION

from retrain_trigger.adapters.topics import Topics

TOPICS: Final = Topics()
DAY_US: Final = 86_400_000_000
_TOPIC_OF: Final = {
    topic.message.DESCRIPTOR.full_name: topic.name for topic in CATALOGUE if topic.message is not None
}
_KINDS: Final = {
    "input-quality": MonitorKind.MONITOR_KIND_DATA_QUALITY,
    "other-quality": MonitorKind.MONITOR_KIND_DATA_QUALITY,
    "input-drift": MonitorKind.MONITOR_KIND_FEATURE_DRIFT,
    "quality": MonitorKind.MONITOR_KIND_PERFORMANCE,
}


def day(number: float) -> Timestamp:
    """Return a day of 1970 and after, by its number."""
    moment = Timestamp()
    moment.FromMicroseconds(round(number * DAY_US))
    return moment


def topic_of(event: Event) -> str:
    """Say where an event belongs."""
    return _TOPIC_OF[event.type]


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of one model.

    Attributes:
        days: A window's length.
    """

    model: str
    version: str = "first"
    days: int = 7

    def measured(self, monitor: str, end_day: int, *, breached: bool = False, **fields: Any) -> Event:
        """A monitor measured the window that ends at the start of a day."""
        days = 1 if monitor.endswith("-quality") else self.days
        assessment = Assessment.ASSESSMENT_BREACHED if breached else Assessment.ASSESSMENT_OK
        values: dict[str, Any] = {
            "model": self.model,
            "monitor": monitor,
            "kind": _KINDS[monitor],
            "version": self.version,
            "window_start": day(end_day - days),
            "window_end": day(end_day),
            "rows": 1_000,
            "assessment": assessment,
            "clear": not breached,
            "reason": f"{monitor} of 1,000 rows.",
            "measurements": [Measurement(subject="hour", statistic="psi", value=0.3, assessment=assessment)],
        }
        message = MonitorMeasured(**(values | fields))
        place = f"{self.model}:{monitor}:{message.version}:{end_day}"
        return self._event(message, f"{place}:{message.revision}", message.window_end.ToMicroseconds())

    def labels(self, end_day: int, *, rows: int = 1_000, coverage: float = 1.0, **fields: Any) -> Event:
        """A window's labels have matured."""
        return self.measured("quality", end_day, rows=rows, label_coverage=coverage, **fields)

    def registered(self, version: str, until_day: int, *, request_id: str = "") -> Event:
        """A version was trained until a day."""
        message = ModelRegistered(
            model=self.model,
            version=version,
            trained_until=day(until_day),
            algorithm="trees",
            owner="team-late",
            retrain_request_id=request_id,
        )
        return self._event(message, f"{self.model}:{version}", until_day * DAY_US)

    def routed(self, version: str, revision: int, *, on_day: int = 1) -> Event:
        """A version is champion."""
        arm = Arm(
            variant="champion",
            role=ROLE_CHAMPION,
            version=VersionRef(version=version),
            weight_basis_points=10_000,
        )
        message = RouteChanged(model=self.model, revision=revision, arms=[arm])
        return self._event(message, f"{self.model}:{revision}", on_day * DAY_US)

    def decided(self, request_id: str, approval_id: str, *, approved: bool = True, on_day: int = 1) -> Event:
        """Somebody decided on a request."""
        message = ApprovalDecided(
            approval_id=approval_id,
            kind=SubjectKind.SUBJECT_KIND_RETRAIN,
            subject_id=request_id,
            model=self.model,
            decision=Decision.DECISION_APPROVED if approved else Decision.DECISION_REJECTED,
            decided_by="ada",
            comment="looked at it",
            decided_at=day(on_day),
        )
        return self._event(message, approval_id, on_day * DAY_US)

    def _event(self, message: Any, event_id: str, time_us: int) -> Event:
        return Event.of(
            message, id=event_id, source="test", key=self.model, time_us=time_us, recorded_time_us=time_us
        )
