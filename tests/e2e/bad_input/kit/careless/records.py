"""What an upstream sends: bytes and headers as it pleases, with nobody's help."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from bus.events import to_headers
from bus.times import format_rfc3339
from google.protobuf.timestamp_pb2 import Timestamp

from examples.flights.gen.flights.v1.events_pb2 import FlightArrived, FlightDeparted, FlightEnd
from examples.flights.streams import ARRIVED_TOPIC, DEPARTED_TOPIC, WEATHER_TOPIC

if TYPE_CHECKING:
    from bus.events import Event

EVENING_US: Final = 1_360_710_000_000_000
"""2013-02-12T23:00:00Z: when whatever says nothing else was true, and became known."""

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record; nothing about it is checked.

    Attributes:
        headers: In order; a value may be null.
        timestamp_ms: The record's own; the moment it is sent where None.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp_ms: int | None = None

    @property
    def id(self) -> str:
        """The event's id."""
        return (dict(self.headers)["ce_id"] or b"").decode()

    def with_header(self, name: str, value: bytes | None) -> Record:
        """The same record that says something else in one header."""
        return replace(
            self, headers=tuple((each, value if each == name else old) for each, old in self.headers)
        )

    def without(self, *names: str) -> Record:
        """The same record without some headers."""
        return replace(self, headers=tuple(header for header in self.headers if header[0] not in names))


def record_of(topic: str, event: Event) -> Record:
    """Write an event as its upstream would, were it careful."""
    return Record(topic, event.key, event.data, tuple(to_headers(event)))


def departed(name: str, /, **fields: Any) -> Record:
    """A Delta flight that left JFK for Los Angeles half an hour late, but for the fields given."""
    usual: dict[str, Any] = {
        "flight_id": name,
        "carrier": "DL",
        "tail_number": "N713TW",
        "origin": "JFK",
        "destination": "LAX",
        "scheduled_departure_at": stamp(EVENING_US - HOUR_US // 2),
        "departed_at": stamp(EVENING_US),
        "departure_delay_minutes": 30.0,
        "distance_miles": 2475.0,
    }
    message = FlightDeparted(**(usual | fields))
    return sent(DEPARTED_TOPIC, name, message.SerializeToString())


def arrived(name: str, /, **fields: Any) -> Record:
    """The same flight's end, an hour late, but for the fields given."""
    usual: dict[str, Any] = {
        "flight_id": name,
        "carrier": "DL",
        "tail_number": "N713TW",
        "origin": "JFK",
        "destination": "LAX",
        "scheduled_departure_at": stamp(EVENING_US - 6 * HOUR_US),
        "scheduled_arrival_at": stamp(EVENING_US - HOUR_US),
        "ended_at": stamp(EVENING_US),
        "end": FlightEnd.FLIGHT_END_ARRIVED,
        "arrival_delay_minutes": 60.0,
        "distance_miles": 2475.0,
    }
    message = FlightArrived(**(usual | fields))
    return sent(ARRIVED_TOPIC, name, message.SerializeToString())


def weather(name: str, /, **fields: Any) -> Record:
    """A report of a warm and windy JFK, but for the fields given."""
    usual: dict[str, Any] = {
        "origin": "JFK",
        "observed_at": format_rfc3339(EVENING_US),
        "temperature_f": 99.0,
        "wind_speed_mph": 77.0,
    }
    return reported(name, json.dumps(usual | fields).encode())


def reported(name: str, value: bytes | None) -> Record:
    """What is said to be a weather report."""
    return sent(WEATHER_TOPIC, name, value)


def sent(topic: str, name: str, value: bytes | None) -> Record:
    """Put a value in a whole envelope, with `name` as its id."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": name,
        "ce_type": "careless",
        "ce_source": "upstream",
        "ce_time": format_rfc3339(EVENING_US),
        "ce_recordedtime": format_rfc3339(EVENING_US),
    }
    encoded = tuple((header, text.encode()) for header, text in headers.items())
    return Record(topic, name.encode(), value, encoded)


def stamp(time_us: int) -> Timestamp:
    """A protobuf timestamp."""
    seconds, microseconds = divmod(time_us, 1_000_000)
    return Timestamp(seconds=seconds, nanos=microseconds * 1000)
