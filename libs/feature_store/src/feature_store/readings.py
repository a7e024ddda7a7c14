"""Which accumulators an aggregation needs, and how its value follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from feature_store.aggregations import UNIT, Accumulator, Kind
from feature_store.definitions import (
    Aggregation,
    Count,
    DistinctCount,
    Ewma,
    First,
    Last,
    Max,
    Mean,
    Min,
    Quantile,
    Share,
    Std,
    Sum,
    TimeSince,
)
from feature_store.definitions.recency import UNITS_US
from feature_store.results import BucketQuantile, Decayed, Deviation, Distinct, Since
from feature_store.sketches import Registers

if TYPE_CHECKING:
    from feature_store.results import Result


class Reading(NamedTuple):
    """How a feature's value follows from accumulators: `numerator * scale / denominator`, or the number kept.

    Attributes:
        numerator: What is read.
        denominator: What it is divided by; None for 1.
        scale: What the numerator's integer is multiplied with.
    """

    numerator: Accumulator
    denominator: Accumulator | None = None
    scale: float = 1.0

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        """What must be kept."""
        return (self.numerator,) if self.denominator is None else (self.numerator, self.denominator)


class Combined(NamedTuple):
    """How a feature's value follows from accumulators, where it is no quotient.

    Attributes:
        accumulators: What is read.
        result: What computes the value.
        by_tile: Whether accumulators are read tile by tile, by age, and not merged.
    """

    accumulators: tuple[Accumulator, ...]
    result: Result
    by_tile: bool = False


def reading_of(aggregation: Aggregation) -> Reading | Combined:
    """Return how an aggregation is computed from accumulators."""
    value, counted = aggregation.value, aggregation.counted
    match aggregation:
        case Count():
            return Reading(Accumulator(Kind.COUNT, None, counted))
        case Share():
            part = aggregation.where if counted is None else counted & aggregation.where
            return Reading(Accumulator(Kind.COUNT, None, part), Accumulator(Kind.COUNT, None, counted))
        case Sum():
            return Reading(Accumulator(Kind.SUM, value, counted), None, UNIT)
        case Mean():
            total = Accumulator(Kind.SUM, value, counted)
            return Reading(total, Accumulator(Kind.COUNT, value, counted), UNIT)
        case Last() | First() | Min() | Max():
            kind = Kind[type(aggregation).__name__.upper()]
            return Reading(Accumulator(kind, value, counted))
        case _:
            return _combined(aggregation)


def _combined(aggregation: Aggregation) -> Combined:
    value, counted = aggregation.value, aggregation.counted
    match aggregation:
        case Std():
            kinds = (Kind.COUNT, Kind.SUM, Kind.SQUARES_HIGH, Kind.SQUARES_LOW)
            return Combined(tuple(Accumulator(kind, value, counted) for kind in kinds), Deviation())
        case Ewma():
            kept = Accumulator(Kind.SUM, value, counted), Accumulator(Kind.COUNT, value, counted)
            decayed = Decayed.of(aggregation.tile_us, aggregation.tiles, aggregation.half_life_us)
            return Combined(kept, decayed, by_tile=True)
        case TimeSince():
            newest = Accumulator(Kind.NEWEST, None, counted)
            return Combined((newest,), Since(UNITS_US[aggregation.unit]))
        case Quantile():
            buckets = aggregation.buckets
            counts = Accumulator(Kind.BUCKETS, value, counted, buckets)
            return Combined((counts,), BucketQuantile(buckets, float(aggregation.q)))
        case DistinctCount():
            registers = Registers(aggregation.precision)
            return Combined((Accumulator(Kind.REGISTERS, value, counted, registers),), Distinct(registers))
        case _:
            raise NotImplementedError(
                f"{type(aggregation).__name__} has no accumulators; add them to readings.reading_of"
            )
