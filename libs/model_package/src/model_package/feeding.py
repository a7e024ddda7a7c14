"""Dealing a vector's numbers to the inputs of a graph; the arithmetic is in `docs/formats.md`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from model_package.declared import Vocabulary
from model_package.errors import VectorMismatch
from model_package.signature import DTYPES

# The first float32 beyond each type, and its least number.
_BOUNDS: Final = {"INT64": (-(2.0**63), 2.0**63), "INT32": (-(2.0**31), 2.0**31)}


class Feed(Protocol):
    """Makes the inputs of a graph."""

    def __call__(self, vectors: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """The inputs by name, of float32[n, F].

        Raises:
            VectorMismatch: A number has no equal in the type of its input.
        """


@dataclass(frozen=True, slots=True)
class WholeVector:
    """One input takes the vector as it is."""

    name: str

    def __call__(self, vectors: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """See `Feed`."""
        return {self.name: vectors}


class Column(Protocol):
    """Turns a feature's numbers into values of an input's type."""

    def __call__(self, numbers: NDArray[np.float32]) -> NDArray[Any]:
        """See `Feed`."""


@dataclass(frozen=True, slots=True, eq=False)
class DealtInput:
    """An input that some features make up.

    Attributes:
        name: Of the input.
        places: Where its features stand in the vector.
        columns: What makes its values of them.
        is_flat: Whether the input is [n] and not [n, 1].
    """

    name: str
    places: Sequence[int]
    columns: Sequence[Column]
    is_flat: bool

    def take(self, vectors: NDArray[np.float32]) -> NDArray[Any]:
        """The input's values."""
        dealt = [column(vectors[:, place]) for place, column in zip(self.places, self.columns, strict=True)]
        return dealt[0] if self.is_flat else np.stack(dealt, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class DealtVector:
    """Every input takes the features that were named for it."""

    inputs: Sequence[DealtInput]

    def __call__(self, vectors: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """See `Feed`."""
        return {given.name: given.take(vectors) for given in self.inputs}


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Numbers in an input's type: floats as they are, integers cut towards zero, anything but 0 is true."""

    feature: str
    datatype: str

    def __call__(self, numbers: NDArray[np.float32]) -> NDArray[Any]:
        """See `Feed`."""
        bounds = _BOUNDS.get(self.datatype)
        if bounds is not None:
            cut = np.trunc(numbers)
            self._refuse((cut >= bounds[0]) & (cut < bounds[1]), numbers)
        elif self.datatype == "BOOL":
            self._refuse(~np.isnan(numbers), numbers)
        return numbers.astype(DTYPES[self.datatype])

    def _refuse(self, fits: NDArray[np.bool_], numbers: NDArray[np.float32]) -> None:
        if not fits.all():
            row = int(np.argmin(fits))
            of_row = f" of row {row}" if len(numbers) > 1 else ""
            raise VectorMismatch(
                f"feature {self.feature!r}{of_row} is {numbers[row]}, which its input of type "
                f"{self.datatype} cannot hold: give the feature a default that it can, or the input a float"
            )


class Texts:
    """The members of a vocabulary that numbers stand for."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._texts = np.array([*vocabulary.members, vocabulary.unknown], dtype=object)

    def __call__(self, numbers: NDArray[np.float32]) -> NDArray[Any]:
        """See `Feed`."""
        unknown = len(self._texts) - 1
        is_known = (numbers >= 0) & (numbers < unknown) & (np.trunc(numbers) == numbers)
        texts: NDArray[Any] = self._texts[np.where(is_known, numbers, unknown).astype(np.int64)]
        return texts


def vocabulary_column(vocabularies: Mapping[str, Vocabulary], feature: str, datatype: str) -> Column | None:
    """What makes a feature's values for an input of a type; None where texts lack a vocabulary."""
    if datatype != "BYTES":
        return Numbers(feature, datatype)
    return Texts(vocabularies[feature]) if feature in vocabularies else None
