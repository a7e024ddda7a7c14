"""Features defined once: definitions, tiles, packed rows, online and offline stores."""

from feature_store.checks import Check
from feature_store.contract import Contract
from feature_store.definitions import (
    Count,
    DistinctCount,
    Entity,
    Ewma,
    Feature,
    FeatureView,
    First,
    Label,
    Last,
    Max,
    Mean,
    Min,
    ModelSpec,
    Quantile,
    RequestTime,
    Share,
    Source,
    Std,
    Sum,
    TimeSince,
    TrainingExamples,
    View,
)
from feature_store.errors import DefinitionError
from feature_store.events import EventBatch, Incoming, decode_events
from feature_store.expressions import (
    FieldType,
    day_of_week,
    field,
    local_hour,
    local_minute_of_day,
    month,
    request,
)
from feature_store.formats import Json, Protobuf
from feature_store.offline import Applied, AsOf, freshness_gap_us, point_in_time
from feature_store.online import VectorAssembler
from feature_store.project import Project, declared, load_project
from feature_store.rejects import Reason, Reject
from feature_store.requests import Requests
from feature_store.vectors import RowPositions, Status, Vectors

__all__ = [
    "Applied",
    "AsOf",
    "Check",
    "Contract",
    "Count",
    "DefinitionError",
    "DistinctCount",
    "Entity",
    "EventBatch",
    "Ewma",
    "Feature",
    "FeatureView",
    "FieldType",
    "First",
    "Incoming",
    "Json",
    "Label",
    "Last",
    "Max",
    "Mean",
    "Min",
    "ModelSpec",
    "Project",
    "Protobuf",
    "Quantile",
    "Reason",
    "Reject",
    "RequestTime",
    "Requests",
    "RowPositions",
    "Share",
    "Source",
    "Status",
    "Std",
    "Sum",
    "TimeSince",
    "TrainingExamples",
    "VectorAssembler",
    "Vectors",
    "View",
    "day_of_week",
    "declared",
    "decode_events",
    "field",
    "freshness_gap_us",
    "load_project",
    "local_hour",
    "local_minute_of_day",
    "month",
    "point_in_time",
    "request",
]
