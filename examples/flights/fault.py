"""A fault put in on purpose: for some days one upstream forgets a field.

Nothing else about the events changes, and nothing downstream is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from examples.flights.facts import departed
from examples.flights.streams import microseconds

if TYPE_CHECKING:
    from datetime import datetime

    from bus.events import Event

    from examples.flights.facts import Row
    from examples.flights.streams import Streams

FIELD = "departure_delay_minutes"


@dataclass(frozen=True, slots=True)
class Fault:
    """Departures in [from, to) do not say how late they were.

    Attributes:
        from_: With a zone.
        to: With a zone.
    """

    from_: datetime
    to: datetime

    def __post_init__(self) -> None:
        if self.from_ >= self.to:
            raise ValueError(f"the fault is empty: it starts at {self.from_} and ends at {self.to}")

    @property
    def from_us(self) -> int:
        """The first moment."""
        return microseconds(self.from_)

    @property
    def to_us(self) -> int:
        """The moment after the last."""
        return microseconds(self.to)

    def put_into(self, streams: Streams) -> Streams:
        """Return the same streams with the fault in them."""

        def told(row: Row, lag_us: int) -> Event:
            is_broken = self.from_us <= row["departed_us"] < self.to_us
            return departed(row | {"dep_delay": None} if is_broken else row, lag_us)

        return replace(streams, departed=streams.departed.told_by(told))
