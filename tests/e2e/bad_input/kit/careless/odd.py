"""Events that look odd and are good: refusing one of these would lose it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bus.times import format_rfc3339

from careless.records import EVENING_US, HOUR_US, arrived, departed, reported, stamp, weather
from examples.flights.gen.flights.v1.events_pb2 import FlightEnd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from careless.records import Record

STORM_STATION: Final = "GALE"
"""A weather station that reports a pressure which no float32 can hold."""


def odd_records() -> list[Record]:
    """All of them, each with an id of its own."""
    return [*_envelopes(), *_payloads(), *_times()]


def _envelopes() -> Iterator[Record]:
    yield replace(departed("without-key"), key=None)
    yield replace(departed("key-not-utf8"), key=b"\xff\x00\xfe")
    yield departed("without-event-time").without("ce_time")
    yield departed("with-null-event-time").with_header("ce_time", None)
    yield departed("time-in-another-zone").with_header("ce_time", b"2013-02-13T04:30:00.123456789+05:30")
    known_by_log = departed("known-by-the-log").without("ce_time", "ce_recordedtime")
    yield replace(known_by_log, timestamp_ms=EVENING_US // 1000)
    twice = departed("said-twice")
    yield replace(twice, headers=(("ce_id", b"overruled"), *twice.headers))
    foreign = departed("foreign-headers")
    yield replace(foreign, headers=(*foreign.headers, ("x-trace", None), ("x-bytes", b"\xff\x00")))
    yield departed("i" * 10_000)
    # Its upstream sent not-a-number under this id before; nothing but the id is the same.
    yield replace(departed("corrected"), headers=departed("delay-nan").headers)


def _payloads() -> Iterator[Record]:
    later_schema = departed("later-schema")
    yield replace(later_schema, value=(later_schema.value or b"") + b"\xa0\x06\x01" + b"\xaa\x06\x03new")
    yield departed("odd-aircraft", tail_number="N\x00713 \U0001f6e9" + "W" * 5_000)
    yield departed("no-aircraft", tail_number=None)
    yield departed("empty-aircraft", tail_number="")
    yield arrived("diverted", end=FlightEnd.FLIGHT_END_DIVERTED, arrival_delay_minutes=None)
    yield weather("more-than-declared", shoe_size=43, nested={"deep": [1, 2]})
    yield weather("nothing-measured", temperature_f=None, wind_speed_mph=None)
    yield weather("storm", origin=STORM_STATION, pressure_hpa=1e308)
    twice = {"origin": "JFK", "observed_at": format_rfc3339(EVENING_US)}
    yield reported("spaced-out", json.dumps(twice, indent=4).encode() + b"\n\n")


def _times() -> Iterator[Record]:
    yield departed("scheduled-in-year-1", scheduled_departure_at=stamp(-62_135_596_800_000_000))
    yield departed("scheduled-in-9999", scheduled_departure_at=stamp(253_402_300_799_999_999))
    yield departed("clock-ahead", departed_at=stamp(EVENING_US + HOUR_US // 12))
    yield arrived("two-days-late", ended_at=stamp(EVENING_US - 48 * HOUR_US))
