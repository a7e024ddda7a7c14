"""The catalogue: every topic of the platform, declared once and created from that declaration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tidemark.explanations.v1.prediction_explained_pb2 import PredictionExplained
from tidemark.governance.v1.approval_pb2 import ApprovalDecided
from tidemark.governance.v1.audit_pb2 import AuditRecorded
from tidemark.governance.v1.erasure_pb2 import SubjectErased
from tidemark.monitoring.v1.alert_pb2 import AlertChanged
from tidemark.monitoring.v1.monitor_pb2 import MonitorMeasured
from tidemark.monitoring.v1.variants_pb2 import VariantsCompared
from tidemark.outcomes.v1.outcome_pb2 import OutcomeObserved
from tidemark.pipelines.v1.progress_pb2 import ProgressMade
from tidemark.registry.v1.model_pb2 import ModelRegistered
from tidemark.registry.v1.rollout_pb2 import RolloutChanged
from tidemark.registry.v1.route_pb2 import RouteChanged, RouteFollowed
from tidemark.retraining.v1.retrain_pb2 import RetrainApproved, RetrainRefused, RetrainRequested
from tidemark.scoring.v1.prediction_pb2 import PredictionMade, PredictionResolved
from tidemark.scoring.v1.scoring_requested_pb2 import ScoringRequested

from bus.kafka.admin import TopicSpec, create_topics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message

_DEAD_LETTER_SUFFIX: Final = ".dlq"
_DEAD_LETTER_RETENTION: Final = timedelta(days=30)
# A dead letter is its original plus headers that say why: it must fit where the original only just did.
MAX_DEAD_LETTER_BYTES: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's declaration.

    Attributes:
        message: The type of its values; None where the user's own format rules.
        key: What the key holds, in words.
        partitions: Fixed at creation: changing it later would break order per key.
        retention: None keeps records for ever.
        compacted: Keeps the newest record of each key.
    """

    name: str
    message: type[Message] | None
    key: str
    partitions: int
    retention: timedelta | None
    compacted: bool = False


SCORING_REQUESTED: Final = Topic(
    "tidemark.scoring.requested.v1", ScoringRequested, "request_key or id", 4, timedelta(days=7)
)
PREDICTIONS_MADE: Final = Topic(
    "tidemark.predictions.made.v1", PredictionMade, "request_key", 4, timedelta(days=7)
)
SHADOW_MADE: Final = Topic("tidemark.shadow.made.v1", PredictionMade, "request_key", 4, timedelta(days=7))
OUTCOMES_OBSERVED: Final = Topic(
    "tidemark.outcomes.observed.v1", OutcomeObserved, "request_key", 4, timedelta(days=30)
)
PREDICTIONS_RESOLVED: Final = Topic(
    "tidemark.predictions.resolved.v1", PredictionResolved, "request_key", 4, timedelta(days=30)
)
PREDICTIONS_EXPLAINED: Final = Topic(
    "tidemark.predictions.explained.v1", PredictionExplained, "request_key", 4, timedelta(days=30)
)
VARIANTS_COMPARED: Final = Topic(
    "tidemark.variants.compared.v1", VariantsCompared, "model", 1, timedelta(days=90)
)
MODELS_REGISTERED: Final = Topic("tidemark.models.registered.v1", ModelRegistered, "model", 1, None)
ROUTES_CHANGED: Final = Topic("tidemark.routes.changed.v1", RouteChanged, "model", 1, None, compacted=True)
ROUTES_FOLLOWED: Final = Topic(
    "tidemark.routes.followed.v1", RouteFollowed, "replica/model", 1, timedelta(days=1)
)
ROLLOUTS_CHANGED: Final = Topic("tidemark.rollouts.changed.v1", RolloutChanged, "model", 1, None)
# One partition each, like the other facts of a model's life: `retrain_trigger` keeps one table for them all.
MONITORS_MEASURED: Final = Topic(
    "tidemark.monitors.measured.v1", MonitorMeasured, "model", 1, timedelta(days=90)
)
ALERTS_CHANGED: Final = Topic(
    "tidemark.alerts.changed.v1", AlertChanged, "fingerprint", 4, None, compacted=True
)
RETRAIN_REQUESTED: Final = Topic("tidemark.retrain.requested.v1", RetrainRequested, "model", 1, None)
RETRAIN_APPROVED: Final = Topic("tidemark.retrain.approved.v1", RetrainApproved, "model", 1, None)
RETRAIN_REFUSED: Final = Topic("tidemark.retrain.refused.v1", RetrainRefused, "model", 1, None)
APPROVALS_DECIDED: Final = Topic("tidemark.approvals.decided.v1", ApprovalDecided, "model", 1, None)
AUDIT_RECORDED: Final = Topic("tidemark.audit.recorded.v1", AuditRecorded, "audit", 1, None)
# For ever: whoever reads a topic again, however late, must leave out what was erased.
SUBJECTS_ERASED: Final = Topic("tidemark.subjects.erased.v1", SubjectErased, "subject", 1, None)
PROGRESSED: Final = Topic("tidemark.pipelines.progressed.v1", ProgressMade, "group", 1, timedelta(days=1))
CATALOGUE: Final[tuple[Topic, ...]] = (
    SCORING_REQUESTED,
    PREDICTIONS_MADE,
    SHADOW_MADE,
    OUTCOMES_OBSERVED,
    PREDICTIONS_RESOLVED,
    PREDICTIONS_EXPLAINED,
    VARIANTS_COMPARED,
    MODELS_REGISTERED,
    ROUTES_CHANGED,
    ROUTES_FOLLOWED,
    ROLLOUTS_CHANGED,
    MONITORS_MEASURED,
    ALERTS_CHANGED,
    RETRAIN_REQUESTED,
    RETRAIN_APPROVED,
    RETRAIN_REFUSED,
    APPROVALS_DECIDED,
    AUDIT_RECORDED,
    SUBJECTS_ERASED,
    PROGRESSED,
)


def dead_letter_of(topic: str) -> str:
    """Name the dead-letter twin of a topic."""
    return topic + _DEAD_LETTER_SUFFIX


def is_dead_letter(topic: str) -> bool:
    """Tell whether a topic is a dead-letter twin."""
    return topic.endswith(_DEAD_LETTER_SUFFIX)


async def ensure_topics(bootstrap: str, topics: Iterable[Topic]) -> None:
    """Create what is missing of the topics and their dead-letter twins.

    It returns when every partition has a leader. Topics that exist are left as they are, whatever their
    settings.

    Raises:
        Unavailable: the broker is away or refused.
    """
    await create_topics(bootstrap, [spec for topic in topics for spec in specs_of(topic)])


def specs_of(topic: Topic) -> tuple[TopicSpec, ...]:
    """Say what to create for a topic: itself and, unless it is one, its dead-letter twin."""
    policy = "compact" if topic.compacted else "delete"
    own = TopicSpec(
        topic.name,
        topic.partitions,
        {"cleanup.policy": policy, "retention.ms": _milliseconds(topic.retention)},
    )
    if is_dead_letter(topic.name):
        return (own,)
    twin_configs = {
        "cleanup.policy": "delete",
        "retention.ms": _milliseconds(_DEAD_LETTER_RETENTION),
        "max.message.bytes": str(MAX_DEAD_LETTER_BYTES),
    }
    return own, TopicSpec(dead_letter_of(topic.name), 1, twin_configs)


def _milliseconds(retention: timedelta | None) -> str:
    return "-1" if retention is None else str(retention // timedelta(milliseconds=1))
