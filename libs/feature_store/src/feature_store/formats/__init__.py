"""How a source's payloads become columns."""

from feature_store.formats.base import Columns, Format
from feature_store.formats.json import Json
from feature_store.formats.protobuf import Protobuf

__all__ = ["Columns", "Format", "Json", "Protobuf"]
