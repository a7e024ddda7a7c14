"""What is answered, as callers read it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from tidemark_client.errors import UnreadableReply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FORMATS: Final = {"FP32": "f", "FP64": "d", "INT32": "i", "INT64": "q", "BOOL": "?"}
_DTYPES: Final = {"FP32": "<f4", "FP64": "<f8", "INT32": "<i4", "INT64": "<i8", "BOOL": "?"}


class FeatureStatus(Enum):
    """What became of one feature of one request."""

    UNSPECIFIED = 0
    """The server said nothing that this client knows."""
    PRESENT = 1
    """Read from a fresh row, or computed from the request."""
    MISSING = 2
    """Nothing is known in the window: the declared default."""
    STALE = 3
    """What is known is too old: the declared default."""
    DEFAULTED = 4
    """The store could not be read in time: the declared default."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature as the model saw it; its value is the declared default where it is not PRESENT."""

    name: str
    value: float
    status: FeatureStatus


@dataclass(frozen=True, slots=True)
class Output:
    """One of a model's outputs for one request.

    Attributes:
        datatype: "FP32", "FP64", "INT32", "INT64", "BOOL" or "BYTES".
        shape: Empty for one value.
        values: All of them, the last dimension fastest; str where the datatype is "BYTES".
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: tuple[float, ...] | tuple[int, ...] | tuple[bool, ...] | tuple[str, ...]

    def numpy(self) -> Any:
        """Return the values as an array of that shape; of object dtype for texts.

        Raises:
            ImportError: numpy is not installed: `pip install tidemark-client[numpy]`.
        """
        import numpy as np  # noqa: PLC0415 - for those alone who ask for arrays

        return np.array(self.values, _DTYPES.get(self.datatype, "O")).reshape(self.shape)


def unpacked(datatype: str, values: bytes, texts: Sequence[str]) -> tuple[Any, ...]:
    """Return an output's values as Python's.

    Raises:
        UnreadableReply: The datatype is unknown, or the bytes are not whole values of it.
    """
    if datatype == "BYTES":
        return tuple(texts)
    letter = _FORMATS.get(datatype)
    if letter is None:
        raise UnreadableReply(f"an output has the unknown datatype {datatype!r}: a newer client may know it")
    count, rest = divmod(len(values), struct.calcsize(f"<{letter}"))
    if rest:
        raise UnreadableReply(f"an output of {datatype} has {len(values)} bytes, which are not whole values")
    return struct.unpack(f"<{count}{letter}", values)


@dataclass(frozen=True, slots=True)
class Score:
    """A score, and by what it was given.

    Attributes:
        request_key: By which an outcome finds it: give it to `report_outcome`.
        score: Of a classifier of two classes the probability of the positive one; see the contract for more.
        variant: The arm of the model's route, e.g. "champion".
        statuses: Of each feature, in the order of the model's feature contract.
        features: Each with its name and value; empty unless `explain` was asked.
        outputs: By name, where the model has more than its score.
    """

    prediction_id: str
    request_key: str
    score: float
    model: str
    version: str
    variant: str
    statuses: tuple[FeatureStatus, ...]
    features: tuple[Feature, ...]
    outputs: Mapping[str, Output]


@dataclass(frozen=True, slots=True)
class ViewAge:
    """How old what a view knows is.

    Attributes:
        age_s: From its newest event to the request, in event time; None where it knows nothing.
        version: Of the view's definition.
        is_complete: Whether rows of this version hold all that was known. Where not, features are DEFAULTED.
    """

    view: str
    age_s: float | None
    version: str
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Features:
    """The features of one request, in the order asked for, or in that of the model's contract."""

    features: tuple[Feature, ...]
    views: tuple[ViewAge, ...]
    contract_hash: bytes

    @property
    def values(self) -> dict[str, float]:
        """Name to value."""
        return {feature.name: feature.value for feature in self.features}
