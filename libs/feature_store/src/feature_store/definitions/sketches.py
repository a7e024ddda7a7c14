"""Aggregations that keep a sketch of the window's events, of fixed size and stated accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as attribute
from typing import TYPE_CHECKING, Final

from feature_store.definitions.aggregations import FieldAggregation
from feature_store.expressions import FieldType
from feature_store.sketches import Buckets

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEAST_PRECISION: Final = 6
"""With fewer registers the estimator is biased: by about 1.08 / registers, 1.7 % for a precision of 6."""
_MOST_PRECISION: Final = 12
_MOST_BUCKETS: Final = 512


@dataclass(frozen=True, eq=False)
class DistinctCount(FieldAggregation):
    """About how many different texts or numbers the window's events have; 0 is a value.

    Attributes:
        precision: A tile keeps 2^precision registers of a byte. The standard error is 1.04 / sqrt(registers):
            6.5 % for a precision of 8.
    """

    retractable = False
    aggregates = frozenset({FieldType.NUMBER, FieldType.TEXT})
    aggregates_instead = "Name a text or a number."
    precision: int = attribute(default=8, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _LEAST_PRECISION <= self.precision <= _MOST_PRECISION:
            instead = f"Write {_LEAST_PRECISION} to {_MOST_PRECISION}."
            raise self._error(f"precision is {self.precision}", instead)

    @property
    def parameters(self) -> Mapping[str, float | int | str]:
        """The precision."""
        return {"precision": self.precision}


@dataclass(frozen=True, eq=False)
class Quantile(FieldAggregation):
    """A quantile of a number over the window, to a relative accuracy.

    Numbers up to `low`, zero and negative ones included, count as `low`; those from `high` on as `high`.

    Attributes:
        q: Which quantile, 0 to 1.
        low: The least number that is told from smaller ones; positive.
        high: The greatest number that is told from greater ones.
        accuracy: How far the value may lie from the quantile, as a part of it.
    """

    q: float = attribute(kw_only=True)
    low: float = attribute(kw_only=True)
    high: float = attribute(kw_only=True)
    accuracy: float = attribute(default=0.05, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.q <= 1:
            raise self._error(f"q is {self.q}", "Write a number from 0 to 1.")
        if not 0 < self.low < self.high < float("inf"):
            raise self._error(f"low is {self.low}, high is {self.high}", "Write 0 < low < high.")
        if not 0.001 <= self.accuracy <= 0.5:
            raise self._error(f"accuracy is {self.accuracy}", "Write a number from 0.001 to 0.5.")
        if self.buckets.count > _MOST_BUCKETS:
            problem = f"it takes {self.buckets.count} buckets; {_MOST_BUCKETS} may be"
            raise self._error(problem, "Write a coarser accuracy, or bring low and high closer together.")

    @property
    def buckets(self) -> Buckets:
        """What its numbers are counted in."""
        return Buckets(float(self.low), float(self.high), float(self.accuracy))

    @property
    def parameters(self) -> Mapping[str, float | int | str]:
        """Which quantile, and of which buckets."""
        return {
            "q": float(self.q),
            "low": float(self.low),
            "high": float(self.high),
            "accuracy": float(self.accuracy),
        }
