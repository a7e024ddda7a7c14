"""The online store: rows in Redis, kept fresh by any number of writers and read with one command."""

from feature_store.online.applier import Application, Applier
from feature_store.online.assembler import VectorAssembler
from feature_store.online.memory import MemoryClaims, MemoryFeatureRows, MemoryRowReader
from feature_store.online.ports import Claim, Claims, FeatureRows, ReadRows, RowReader, StoreUnavailable

__all__ = [
    "Application",
    "Applier",
    "Claim",
    "Claims",
    "FeatureRows",
    "MemoryClaims",
    "MemoryFeatureRows",
    "MemoryRowReader",
    "ReadRows",
    "RowReader",
    "StoreUnavailable",
    "VectorAssembler",
]
