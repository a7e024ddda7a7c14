"""Training sets out of the lake: point in time, reproducible, kept under an id."""

from training_sets.building import build, build_again, find_model
from training_sets.datasets import Dataset, TableVersion, hash_definition, hash_rows
from training_sets.differences import Difference, compare
from training_sets.errors import DatasetError
from training_sets.examples import LabelledRequests, Period, label_examples
from training_sets.lake import DeltaEvents, EventLake, SourceEvents
from training_sets.manifests import Manifest
from training_sets.shelf import DatasetShelf

__all__ = [
    "Dataset",
    "DatasetError",
    "DatasetShelf",
    "DeltaEvents",
    "Difference",
    "EventLake",
    "LabelledRequests",
    "Manifest",
    "Period",
    "SourceEvents",
    "TableVersion",
    "build",
    "build_again",
    "compare",
    "find_model",
    "hash_definition",
    "hash_rows",
    "label_examples",
]
