"""What outcomes say of a model's answers, by the kind of model: a port with one implementation a task.

A *tally* is int64[k]; tallies add up, in any order, to the tally of all rows.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from drift_detector.domain.facts import Resolved

    Tally = NDArray[np.int64]

_BITS = 64
_DOUBLE = struct.Struct(">d")
_WORD = struct.Struct(">Q")


class Quality(Protocol):
    """How outcomes of one model are counted.

    Attributes:
        error_name: What `error` is the mean of, in words.
        undefined_because: Why a metric of labelled rows may be undefined, in words.
    """

    @property
    def error_name(self) -> str:
        """See above."""

    @property
    def undefined_because(self) -> str:
        """See above."""

    def refusal(self, score: float, outcome: float) -> tuple[str, str] | None:
        """Say why these cannot be a score and an outcome of the model: reason and detail, or None."""

    def state(self, revision: int, outcome: float) -> int:
        """Write a revision of an outcome as one whole number, not below 0."""

    def of_state(self, state: int) -> tuple[int, float]:
        """Read `state`."""

    def tally(self, resolved: Sequence[Resolved]) -> Tally:
        """Count outcomes."""

    def labelled(self, tally: Tally) -> int:
        """Return how many outcomes a tally holds."""

    def metrics(self, tally: Tally) -> dict[str, float | None]:
        """Return what the answers' quality is measured by; None where a metric is undefined."""

    def errors(self, tally: Tally) -> tuple[int, int]:
        """Return how many rows have an error, and the sum of errors, a whole number."""

    def mean_error(self, total: int, rows: int) -> float:
        """Return the mean of a sum of errors."""

    def expected_error(self, metrics: Mapping[str, float]) -> float | None:
        """Return the mean error on the holdout; None where it is not known or 0."""


def packed_state(revision: int, outcome: float) -> int:
    """Write a revision of any outcome: above the 64 bits of its value."""
    # Adding 0.0 makes -0.0 0.0, for they are one value.
    (word,) = _WORD.unpack(_DOUBLE.pack(outcome + 0.0))
    return int(revision << _BITS | word)


def unpacked_state(state: int) -> tuple[int, float]:
    """Read `packed_state`."""
    (outcome,) = _DOUBLE.unpack(_WORD.pack(state & (1 << _BITS) - 1))
    return state >> _BITS, float(outcome)
