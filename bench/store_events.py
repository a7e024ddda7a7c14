"""The events that the feature store is measured on, and a result's row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bus.events import Event
from feature_store import Incoming
from google.protobuf.timestamp_pb2 import Timestamp

from examples.flights.gen.flights.v1.events_pb2 import FlightDeparted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_store import Source

EVENTS = 200_000
PROJECT, MODEL = "examples.flights", "flight-delay"
TOPIC = "flights.departed.v1"
START_US = 1_357_017_300_000_000
AIRPORTS, CARRIERS, AIRCRAFT = 105, 16, 4_043
HOUR_US = 3_600_000_000
FLIGHTS_AN_HOUR = 38
Row = dict[str, Any]


def row(
    name: str, value: float, unit: str, against: tuple[str, float], must: tuple[str, bool] | None = None
) -> Row:
    reference, reference_value = against
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "reference": reference,
        "reference_value": reference_value,
        "ratio": value / reference_value,
        "must": must and must[0],
        "met": must and must[1],
    }


def dealt(source: Source, events: Sequence[Event], first: int = 0) -> Incoming:
    """Events as a log has them whose partitions take turns; so many went before."""
    places = range(first, first + len(events))
    count = source.partitions
    return Incoming.of(events, [place % count for place in places], [place // count for place in places])


def departures(count: int = EVENTS, aircraft: int = AIRCRAFT, seed: int = 7) -> list[Event]:
    """Departures in the order in which they became known, a skewed few airports among them."""
    random = np.random.default_rng(seed)
    columns = (
        START_US + np.sort(random.integers(0, count * HOUR_US // FLIGHTS_AN_HOUR, count)),
        random.choice(["EWR", "JFK", "LGA"], count),
        random.zipf(1.3, count) % AIRPORTS,
        random.integers(0, CARRIERS, count),
        random.integers(0, aircraft, count),
        np.round(random.exponential(25.0, count) - 12.0),
    )
    return [
        departure(number, *values)
        for number, values in enumerate(zip(*(column.tolist() for column in columns), strict=True))
    ]


def departure(
    number: int, recorded_us: int, origin: str, destination: int, carrier: int, aircraft: int, delay: float
) -> Event:
    departed_at = Timestamp(seconds=recorded_us // 1_000_000)
    message = FlightDeparted(
        flight_id=f"2013-{number}",
        carrier=f"C{carrier}",
        tail_number=f"N{aircraft:05}",
        origin=origin,
        destination=f"D{destination:03}",
        scheduled_departure_at=departed_at,
        departed_at=departed_at,
        departure_delay_minutes=delay,
        distance_miles=1_000.0,
    )
    return Event.of(
        message,
        id=f"departed-{number}",
        source="bench",
        key=message.flight_id,
        time_us=recorded_us,
        recorded_time_us=recorded_us,
    )
