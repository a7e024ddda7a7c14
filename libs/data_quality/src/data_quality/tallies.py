"""Expectations over a day, counted chunk by chunk: the same whatever the order and size of the chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import polars as pl
from feature_store.expressions import nulls

from data_quality.chunks import place
from data_quality.findings import DAY_US, MOST_EXAMPLES, Example, Finding, Verdict, moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from feature_store.expectations import Fresh, NullRate, References, Unique, Volume
    from feature_store.expressions import Expression
    from numpy.typing import NDArray

    from data_quality.chunks import Chunk
    from data_quality.findings import Day

_SECOND_US: Final = 1_000_000
_SECONDS: Final = DAY_US // _SECOND_US
_NEVER: Final = np.iinfo(np.int64).min


class Tally(Protocol):
    """Counts a day's rows for one expectation."""

    def add(self, chunk: Chunk) -> None:
        """Take some rows in."""

    def finding(self) -> Finding:
        """Return what the rows come to."""


class Witnesses:
    """The first few rows that speak for a finding, by their positions, whatever the order they come in."""

    def __init__(self) -> None:
        self._found: list[Example] = []

    def add(self, chunk: Chunk, rows: Iterable[int], told: str = "") -> None:
        """Take rows in, by their indices in the chunk."""
        positions = np.sort(chunk.positions[np.fromiter(rows, np.int64)])[:MOST_EXAMPLES]
        self.take(Example(*place(position), told) for position in positions.tolist())

    def take(self, examples: Iterable[Example]) -> None:
        """Take examples in."""
        self._found = sorted([*self._found, *examples])[:MOST_EXAMPLES]

    @property
    def first(self) -> tuple[Example, ...]:
        """The first of them."""
        return tuple(self._found)


class NullRateTally:
    """See `Expect.null_rate`."""

    def __init__(self, expected: NullRate) -> None:
        self._expected = expected
        self._rows = self._missing = 0
        self._witnesses = Witnesses()

    def add(self, chunk: Chunk) -> None:
        """See `Tally.add`."""
        name = self._expected.field
        asked = _holds(self._expected.where, chunk)
        missing = nulls(chunk.events.source.fields[name], chunk.events.columns[name]) & asked
        self._rows += int(asked.sum())
        self._missing += int(missing.sum())
        self._witnesses.add(chunk, np.flatnonzero(missing))

    def finding(self) -> Finding:
        """See `Tally.finding`."""
        expected = self._expected
        value = self._missing / self._rows if self._rows else None
        return Finding(
            *(expected.statistic, expected.subject, value, f"at most {expected.at_most:.2%}"),
            threshold=expected.at_most,
            verdict=judged(value, at_most=expected.at_most),
            rows=self._rows,
            failed=self._missing,
            examples=self._witnesses.first,
        )


class VolumeTally:
    """See `Expect.volume`."""

    def __init__(self, expected: Volume) -> None:
        self._expected = expected
        self._rows = 0

    def add(self, chunk: Chunk) -> None:
        """See `Tally.add`."""
        self._rows += len(chunk)

    def finding(self) -> Finding:
        """See `Tally.finding`."""
        low, high = self._expected.at_least, self._expected.at_most
        bound = f"at least {low:,}" if np.isinf(high) else f"{low:,} to {high:,.0f}"
        return Finding(
            *(self._expected.statistic, "", float(self._rows), bound),
            threshold=low if self._rows <= high else high,
            verdict=judged(self._rows, at_least=low, at_most=high),
            rows=self._rows,
        )


class FreshTally:
    """See `Expect.fresh`; to the second.

    Args:
        newest_before_us: The newest event time known when the day began; a day before that if there is none.
    """

    def __init__(self, expected: Fresh, day: Day, newest_before_us: int) -> None:
        self._expected = expected
        self._day = day
        self._newest_us = np.full(_SECONDS, _NEVER, np.int64)
        self._newest_us[0] = newest_before_us
        self._rows = 0

    def add(self, chunk: Chunk) -> None:
        """See `Tally.add`."""
        second = (chunk.events.recorded_time_us - self._day.start_us) // _SECOND_US
        known = second < _SECONDS
        np.maximum.at(self._newest_us, np.maximum(second[known], 0), chunk.events.event_time_us[known])
        self._rows += len(chunk)

    def finding(self) -> Finding:
        """See `Tally.finding`."""
        ends_us = self._day.start_us + np.arange(1, _SECONDS + 1, dtype=np.int64) * _SECOND_US
        ages_us = ends_us - np.maximum.accumulate(self._newest_us)
        oldest = int(ages_us.argmax())
        seconds = float(ages_us[oldest]) / 1e6
        within = self._expected.within.total_seconds()
        newest = moment(int(ends_us[oldest] - ages_us[oldest]))
        return Finding(
            *(self._expected.statistic, "", seconds, f"at most {self._expected.within}"),
            threshold=within,
            verdict=judged(seconds, at_most=within),
            rows=self._rows,
            detail=f"at {moment(int(ends_us[oldest]))} the newest event was of {newest}",
        )


class UniqueTally:
    """See `Expect.unique`. Keeps three numbers a row; keys are told apart by hashes of 64 bits."""

    def __init__(self, expected: Unique) -> None:
        self._expected = expected
        self._found: list[NDArray[np.int64]] = []

    def add(self, chunk: Chunk) -> None:
        """See `Tally.add`."""
        names = [name for name in self._expected.fields if name in chunk.frame.columns]
        rows = chunk.frame.with_columns(_position=pl.Series(chunk.positions)).drop_nulls(names)
        if len(names) == len(self._expected.fields):
            keys = rows.select(pl.struct(names).hash()).to_series().to_numpy().view(np.int64)
            events = rows["_id"].hash().to_numpy().view(np.int64)
            self._found.append(np.stack([keys, events, rows["_position"].to_numpy()]))

    def finding(self) -> Finding:
        """See `Tally.finding`."""
        found = np.concatenate(self._found, axis=1) if self._found else np.zeros((3, 0), np.int64)
        self._found = [found]
        events = found[:, _firsts(found, by=(0, 1))]
        is_alike = np.ones(events.shape[1], np.bool_)
        is_alike[_firsts(events, by=(0,))] = False
        alike = int(is_alike.sum())
        positions = np.sort(events[2, is_alike])[:MOST_EXAMPLES].tolist()
        value = float(alike) if events.shape[1] else None
        return Finding(
            *(self._expected.statistic, self._expected.subject, value, "none"),
            threshold=0.0,
            verdict=judged(value, at_most=0),
            rows=events.shape[1],
            failed=alike,
            examples=tuple(Example(*place(one), "an earlier event is alike") for one in positions),
        )


class ReferencesTally:
    """See `Expect.references`.

    Args:
        known: Hashes of what the other source named, sorted.
    """

    def __init__(self, expected: References, known: NDArray[np.uint64]) -> None:
        self._expected = expected
        self._known = known
        self._rows = self._strange = 0
        self._witnesses = Witnesses()

    def add(self, chunk: Chunk) -> None:
        """See `Tally.add`."""
        name = self._expected.field
        column = chunk.events.columns[name]
        asked = _holds(self._expected.where, chunk) & ~nulls(chunk.events.source.fields[name], column)
        strange = asked & ~np.isin(hashes(column), self._known)
        self._rows += int(asked.sum())
        self._strange += int(strange.sum())
        for row in np.flatnonzero(strange)[np.argsort(chunk.positions[strange])][:MOST_EXAMPLES]:
            self._witnesses.add(chunk, [row], f"{name} is {column[row]!r}")

    def finding(self) -> Finding:
        """See `Tally.finding`."""
        expected = self._expected
        value = 1 - self._strange / self._rows if self._rows else None
        theirs = f"{expected.source.topic} {expected.their_field}"
        return Finding(
            *(expected.statistic, expected.subject, value, f"at least {expected.at_least:.2%} in {theirs}"),
            threshold=expected.at_least,
            verdict=judged(value, at_least=expected.at_least),
            rows=self._rows,
            failed=self._strange,
            examples=self._witnesses.first,
        )


def judged(value: float | None, *, at_least: float = -np.inf, at_most: float = np.inf) -> Verdict:
    """Hold a figure against its bounds, both allowed."""
    if value is None:
        return Verdict.INSUFFICIENT
    return Verdict.PASSED if at_least <= value <= at_most else Verdict.FAILED


def hashes(texts: NDArray[np.object_]) -> NDArray[np.uint64]:
    """Return hashes of texts, the same throughout one process."""
    found: NDArray[np.uint64] = pl.Series(texts.tolist(), dtype=pl.String).hash().to_numpy()
    return found


def _holds(where: Expression | None, chunk: Chunk) -> NDArray[np.bool_]:
    if where is None:
        return np.ones(len(chunk), np.bool_)
    held: NDArray[np.bool_] = where.evaluate(chunk.events.columns, len(chunk)) == 1
    return held


def _firsts(found: NDArray[np.int64], by: tuple[int, ...]) -> NDArray[np.intp]:
    """Return the column with the least position of those that are alike in the rows `by`."""
    order = np.lexsort((found[2], *(found[row] for row in reversed(by))))
    ordered = found[list(by)][:, order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
    return order[is_first]
