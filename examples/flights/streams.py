"""The flights as three streams of events and one of questions, each in the order it became known.

Columns are kept; an event is built when it is published. Nothing here talks to a broker.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from examples.flights.facts import arrived, asked, departed, observed
from examples.flights.tables import read_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl
    from bus.events import Event
    from numpy.typing import NDArray

    from examples.flights.facts import Row, ScoringRequest

DEPARTED_TOPIC: Final = "flights.departed.v1"
ARRIVED_TOPIC: Final = "flights.arrived.v1"
WEATHER_TOPIC: Final = "weather.observed.v1"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class EventStream:
    """The events of one topic.

    Attributes:
        recorded_time_us: When each became known, ascending.
    """

    topic: str
    recorded_time_us: NDArray[np.int64]
    _rows: pl.DataFrame
    _fact: Callable[[Row, int], Event]
    _lag_us: int

    def __len__(self) -> int:
        return self.recorded_time_us.size

    def known_in(self, after_us: int, until_us: int) -> slice:
        """Say which events became known in (after, until]."""
        return _in(self.recorded_time_us, after_us, until_us)

    def events(self, which: slice) -> list[Event]:
        """Build some of the events, in order."""
        return [self._fact(row, self._lag_us) for row in self._rows[which].iter_rows(named=True)]

    def told_by(self, fact: Callable[[Row, int], Event]) -> EventStream:
        """Return the same happenings, told in another way."""
        return replace(self, _fact=fact)


@dataclass(frozen=True, slots=True)
class RequestStream:
    """The questions.

    Attributes:
        time_us: When each is asked, ascending.
    """

    time_us: NDArray[np.int64]
    _rows: pl.DataFrame

    def __len__(self) -> int:
        return self.time_us.size

    def asked_in(self, from_us: int, until_us: int) -> slice:
        """Say which questions are asked in [from, until)."""
        return _in(self.time_us, from_us - 1, until_us - 1)

    def requests(self, which: slice) -> list[ScoringRequest]:
        """Build some of the questions, in order."""
        return [asked(row) for row in self._rows[which].iter_rows(named=True)]


@dataclass(frozen=True, slots=True)
class Streams:
    """Everything that becomes known and everything that is asked in [from, to)."""

    from_us: int
    to_us: int
    departed: EventStream
    arrived: EventStream
    weather: EventStream
    requests: RequestStream

    @property
    def sources(self) -> tuple[EventStream, EventStream, EventStream]:
        """The three streams of events."""
        return self.departed, self.arrived, self.weather

    @property
    def event_count(self) -> int:
        """How many events there are in all."""
        return sum(len(source) for source in self.sources)


def load_streams(from_: datetime, to: datetime, *, recorded_lag: timedelta = timedelta(0)) -> Streams:
    """Load what becomes known and what is asked in [from, to).

    The source does not say when a fact became known: it is taken to be known when it happened.

    Args:
        from_: With a zone.
        to: With a zone.
        recorded_lag: Makes every event known so much later; what happens and what is asked stays the same.

    Raises:
        ValueError: A bound has no zone, or the period is empty.
    """
    if from_.tzinfo is None or to.tzinfo is None:
        raise ValueError(f"the period's bounds need a zone, such as +00:00; found {from_} and {to}")
    if from_ >= to:
        raise ValueError(f"the period is empty: it starts at {from_} and ends at {to}")
    tables = read_tables(from_ - recorded_lag, to)
    period_us = microseconds(from_), microseconds(to)
    lag_us = recorded_lag // timedelta(microseconds=1)

    def source(topic: str, rows: pl.DataFrame, fact: Callable[[Row, int], Event]) -> EventStream:
        times_us, within = _within(rows, period_us, lag_us)
        return EventStream(topic, times_us, within, fact, lag_us)

    return Streams(
        *period_us,
        departed=source(DEPARTED_TOPIC, tables.departures, departed),
        arrived=source(ARRIVED_TOPIC, tables.ends, arrived),
        weather=source(WEATHER_TOPIC, tables.weather, observed),
        requests=RequestStream(*_within(tables.questions, period_us, 0)),
    )


def microseconds(moment: datetime) -> int:
    """Return the microseconds since the epoch of a moment with a zone."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _within(
    rows: pl.DataFrame, period_us: tuple[int, int], lag_us: int
) -> tuple[NDArray[np.int64], pl.DataFrame]:
    times_us = rows.to_series(0).to_numpy() + lag_us
    start, stop = np.searchsorted(times_us, period_us, side="left")
    return times_us[start:stop], rows[int(start) : int(stop)]


def _in(times_us: NDArray[np.int64], after_us: int, until_us: int) -> slice:
    start, stop = np.searchsorted(times_us, [after_us, until_us], side="right")
    return slice(int(start), int(stop))
