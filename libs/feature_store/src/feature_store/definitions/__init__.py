"""What a project declares: sources, entities, views, aggregations, request features, labels and models."""

from feature_store.definitions.aggregations import (
    Aggregation,
    Count,
    FieldAggregation,
    First,
    Last,
    Max,
    Mean,
    Min,
    Share,
    Std,
    Sum,
)
from feature_store.definitions.computed import Derived, Opaque, OpaqueFunction, RequestTime, embedding
from feature_store.definitions.dependencies import AnyFeature, Needed
from feature_store.definitions.dimensions import Attribute, Dimension, TableRow
from feature_store.definitions.examples import Examples, TrainingExamples
from feature_store.definitions.labels import Label, Outcomes
from feature_store.definitions.models import ModelSpec, TrainFunction
from feature_store.definitions.recency import Ewma, TimeSince
from feature_store.definitions.sketches import DistinctCount, Quantile
from feature_store.definitions.sources import Entity, Source
from feature_store.definitions.table_files import csv_rows
from feature_store.definitions.views import Feature, FeatureView, View
from feature_store.definitions.words import ExplainWhen, Words

__all__ = [
    "Aggregation",
    "AnyFeature",
    "Attribute",
    "Count",
    "Derived",
    "Dimension",
    "DistinctCount",
    "Entity",
    "Ewma",
    "Examples",
    "ExplainWhen",
    "Feature",
    "FeatureView",
    "FieldAggregation",
    "First",
    "Label",
    "Last",
    "Max",
    "Mean",
    "Min",
    "ModelSpec",
    "Needed",
    "Opaque",
    "OpaqueFunction",
    "Outcomes",
    "Quantile",
    "RequestTime",
    "Share",
    "Source",
    "Std",
    "Sum",
    "TableRow",
    "TimeSince",
    "TrainFunction",
    "TrainingExamples",
    "View",
    "Words",
    "csv_rows",
    "embedding",
]
