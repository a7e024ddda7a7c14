"""What a careless upstream publishes in an evening, and where it is in the log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from careless.bad import Bad, bad_records
from careless.odd import odd_records
from careless.records import Record, record_of
from examples.flights.streams import load_streams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.positions import Position

    from careless.scene import Scene

FROM: Final = datetime(2013, 2, 12, 18, tzinfo=UTC)
TO: Final = datetime(2013, 2, 13, tzinfo=UTC)
READERS: Final = ("feature", "archiver")
_SEED: Final = 2013
_REPEATED: Final = 150


@dataclass(frozen=True)
class Upstream:
    """What was published.

    Attributes:
        bad: Bad records and where they are, by name.
        good: Every event that must count, once, by id.
        positions: Where every record is, repeats included.
    """

    bad: Mapping[str, tuple[Bad, Position]]
    good: Mapping[str, Record]
    positions: Mapping[Position, Record]

    @property
    def topics(self) -> set[str]:
        """Where it was published."""
        return {where.topic for where in self.positions}

    def bad_in(self, topic: str) -> list[Bad]:
        """The bad records of a topic."""
        return [bad for bad, where in self.bad.values() if where.topic == topic]


async def publish_evening(scene: Scene) -> Upstream:
    """Publish six hours of real flights, with odd and bad events among them, none in order.

    Some events are repeated at once, others once all has had its effect, as by an upstream that restarts.
    It returns when every reader is done with all of it.
    """
    rng = np.random.default_rng(_SEED)
    streams = load_streams(FROM, TO)
    flights = [
        record_of(stream.topic, event)
        for stream in streams.sources
        for event in stream.events(slice(0, len(stream)))
    ]
    good, bad = [*flights, *odd_records()], bad_records()
    repeated = [flights[index] for index in rng.choice(len(flights), 2 * _REPEATED, replace=False)]
    at_once, after = repeated[:_REPEATED], repeated[_REPEATED:]
    mixed = [*good, *at_once, *(each.record for each in bad)]
    positions: dict[Position, Record] = {}
    for wave in ([mixed[index] for index in rng.permutation(len(mixed))], after):
        sent = await scene.send(wave)
        await scene.settled(sent, *READERS)
        positions |= zip(sent, wave, strict=True)
    places = {id(record): where for where, record in positions.items()}
    return Upstream(
        {each.name: (each, places[id(each.record)]) for each in bad},
        {record.id: record for record in good},
        positions,
    )
