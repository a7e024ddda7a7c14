"""Every way in which an event is bad, the reason it must be given up for, and what must be said of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from bus.times import format_rfc3339
from google.protobuf.timestamp_pb2 import Timestamp

from careless.records import (
    DAY_US,
    EVENING_US,
    HOUR_US,
    arrived,
    departed,
    reported,
    sent,
    stamp,
    weather,
)
from examples.flights.streams import ARRIVED_TOPIC, DEPARTED_TOPIC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from careless.records import Record

_MINUTE_US: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class Bad:
    """A bad record.

    Attributes:
        name: Its key, and its id where it has one.
        reason: Under which it must be dead-lettered.
        told: What the detail must say.
    """

    name: str
    record: Record
    reason: str
    told: str


def bad_records() -> list[Bad]:
    """All of them, each under a name of its own."""
    return [*_envelopes(), *_bytes(), *_departures(), *_arrivals(), *_reports(), *_times()]


def _envelopes() -> Iterator[Bad]:
    def bad(name: str, told: str, **headers: bytes | None) -> Bad:
        record = departed(name)
        for header, value in headers.items():
            record = record.with_header(header, value)
        return Bad(name, record, "MALFORMED_ENVELOPE", told)

    naked = replace(departed("no-envelope"), headers=())
    yield Bad("no-envelope", naked, "MALFORMED_ENVELOPE", "ce_specversion is missing")
    yield Bad("no-id", departed("no-id").without("ce_id"), "MALFORMED_ENVELOPE", "ce_id is missing")
    yield Bad("no-type", departed("no-type").without("ce_type"), "MALFORMED_ENVELOPE", "ce_type is missing")
    yield bad("empty-source", "ce_source must not be empty", ce_source=b"")
    yield bad("old-specversion", "not 1.0", ce_specversion=b"0.3")
    yield bad("id-not-utf8", "not UTF-8", ce_id=b"\xff\xfe\xfd")
    yield bad("null-id", "must not be empty", ce_id=None)
    nobody = departed("null-subject")
    nobody = replace(nobody, headers=(*nobody.headers, ("ce_subject", None)))
    yield Bad("null-subject", nobody, "MALFORMED_ENVELOPE", "null value")
    yield bad("no-time-at-all", "ce_time: 'yesterday'", ce_time=b"yesterday")
    yield bad("time-without-zone", "no zone", ce_time=b"2013-02-12T23:00:00.000")
    yield bad("year-9999", "outside 1970-01-01 to 2200-01-01", ce_time=b"9999-12-31T23:59:59Z")
    yield bad("year-1", "outside 1970-01-01 to 2200-01-01", ce_recordedtime=b"0001-01-01T00:00:00Z")
    yield bad(
        "known-in-2150", "over a day after the record was written", ce_recordedtime=b"2150-01-01T00:00:00Z"
    )


def _bytes() -> Iterator[Bad]:
    def bad(name: str, value: bytes | None, reason: str, told: str) -> Bad:
        return Bad(name, sent(DEPARTED_TOPIC, name, value), reason, told)

    whole = departed("truncated").value or b""
    yield bad("truncated", whole[:-4], "MALFORMED_PAYLOAD", "are no flights.v1.FlightDeparted")
    yield bad("garbage", bytes(range(255, 155, -1)), "MALFORMED_PAYLOAD", "are no flights.v1.FlightDeparted")
    yield bad("json", b'{"flight_id": "json"}', "MALFORMED_PAYLOAD", "are no flights.v1.FlightDeparted")
    yield bad("text-not-utf8", b"\x0a\x02\xff\xfe" + whole, "MALFORMED_PAYLOAD", "are no flights.v1.Flight")
    yield bad("empty", b"", "MISSING_FIELD", "departed_at has no value")
    yield bad("tombstone", None, "MISSING_FIELD", "departed_at has no value")
    yield Bad("oversize", departed("oversize", tail_number="N" * 300_000), "OVERSIZE", "at most 262144")


def _departures() -> Iterator[Bad]:
    def bad(name: str, reason: str, told: str, **fields: Any) -> Bad:
        return Bad(name, departed(name, **fields), reason, told)

    yield bad("no-flight-id", "MISSING_FIELD", "flight_id has no value", flight_id="")
    yield bad("no-origin", "MISSING_FIELD", "origin has no value", origin="")
    yield bad("no-schedule", "MISSING_FIELD", "scheduled_departure_at", scheduled_departure_at=None)
    yield bad("no-event-time", "MISSING_FIELD", "it is the event time", departed_at=None)
    yield bad("delay-nan", "NOT_FINITE", "departure_delay_minutes is nan", departure_delay_minutes=math.nan)
    yield bad("distance-inf", "NOT_FINITE", "distance_miles is inf", distance_miles=math.inf)
    yield bad("delay-minus-inf", "NOT_FINITE", "is -inf", departure_delay_minutes=-math.inf)
    yield bad("delay-absurd", "OUT_OF_RANGE", "between -180 and 3000", departure_delay_minutes=1e300)
    yield bad("distance-negative", "OUT_OF_RANGE", "distance_miles is -1.0", distance_miles=-1)


def _arrivals() -> Iterator[Bad]:
    def bad(name: str, reason: str, told: str, **fields: Any) -> Bad:
        return Bad(name, arrived(name, **fields), reason, told)

    allowed = "must be one of ARRIVED, CANCELLED, DIVERTED"
    yield bad("end-unknown", "NOT_ALLOWED", allowed, end=77)
    yield bad("end-unspecified", "NOT_ALLOWED", allowed, end=0)
    yield bad("no-delay", "DELAY_MISSING", "does not hold", arrival_delay_minutes=None)
    yield bad("arrival-nan", "NOT_FINITE", "arrival_delay_minutes is nan", arrival_delay_minutes=math.nan)
    swapped = replace(arrived("arrival-as-departure"), topic=DEPARTED_TOPIC)
    yield Bad("arrival-as-departure", swapped, "WRONG_TYPE", "was written as another type")
    misplaced = replace(departed("departure-as-arrival"), topic=ARRIVED_TOPIC)
    yield Bad("departure-as-arrival", misplaced, "WRONG_TYPE", "ended_at was written as another type")


def _reports() -> Iterator[Bad]:
    def bad(name: str, value: bytes, reason: str, told: str) -> Bad:
        return Bad(name, reported(name, value), reason, told)

    def wrong(name: str, reason: str, told: str, **fields: Any) -> Bad:
        return Bad(name, weather(name, **fields), reason, told)

    whole = weather("json-truncated").value or b""
    no_json = "are no JSON in UTF-8"
    yield bad("json-truncated", whole[:-1], "MALFORMED_PAYLOAD", no_json)
    yield bad("json-utf16", whole.decode().encode("utf-16"), "MALFORMED_PAYLOAD", no_json)
    yield bad("json-endlessly-deep", b"[" * 100_000, "MALFORMED_PAYLOAD", no_json)
    yield bad("json-endless-number", b'{"temperature_f": 1%s}' % (b"0" * 5_000), "MALFORMED_PAYLOAD", no_json)
    yield bad("json-array", b"[" + whole + b"]", "MALFORMED_PAYLOAD", "it must be an object")
    yield bad("json-oversize", whole[:-1] + b" " * 300_000 + b"}", "OVERSIZE", "at most 262144")
    yield bad("json-overflow", b'{"temperature_f": 1e999}', "NOT_FINITE", "temperature_f is inf")
    yield wrong("number-as-text", "WRONG_TYPE", "it must be a number", temperature_f="warm")
    yield wrong("number-as-flag", "WRONG_TYPE", "it must be a number", temperature_f=True)
    yield wrong("text-as-number", "WRONG_TYPE", "origin is 12", origin=12)
    yield wrong("text-half-surrogate", "WRONG_TYPE", "half a surrogate pair", origin="JFK\ud800")
    yield wrong("time-as-number", "WRONG_TYPE", "observed_at is 1360710000", observed_at=1_360_710_000)
    yield wrong("time-local", "WRONG_TYPE", "with its offset", observed_at="2013-02-12T23:00:00")
    yield wrong("number-nan", "NOT_FINITE", "wind_speed_mph is nan", wind_speed_mph=math.nan)
    yield wrong("number-minus-infinity", "NOT_FINITE", "is -inf", wind_speed_mph=-math.inf)
    yield wrong("station-missing", "MISSING_FIELD", "origin has no value", origin=None)
    yield wrong("temperature-absurd", "OUT_OF_RANGE", "between -60 and 130", temperature_f=131)


def _times() -> Iterator[Bad]:
    later, earlier = EVENING_US + 6 * _MINUTE_US, EVENING_US - 2 * DAY_US - HOUR_US
    no_time = "which is no time"
    yield Bad("soon", departed("soon", departed_at=stamp(later)), "FUTURE_EVENT", "0:05:00 may be")
    yield Bad("late", departed("late", departed_at=stamp(earlier)), "LATE_BEYOND_LIMIT", "2 days")
    yield Bad(
        "far-future",
        arrived("far-future", ended_at=stamp(EVENING_US + 36_500 * DAY_US)),
        "FUTURE_EVENT",
        "may be",
    )
    yield Bad("far-past", arrived("far-past", ended_at=stamp(0)), "LATE_BEYOND_LIMIT", "may be")
    report = weather("report-of-tomorrow", observed_at=format_rfc3339(EVENING_US + DAY_US))
    yield Bad("report-of-tomorrow", report, "FUTURE_EVENT", "observed_at is 86400.000000 s later")
    beyond = Timestamp(seconds=10**15)
    yield Bad("beyond-time", departed("beyond-time", departed_at=beyond), "TIME_OUT_OF_RANGE", no_time)
    backwards = Timestamp(seconds=EVENING_US // 1_000_000, nanos=-1)
    yield Bad(
        "nanos-negative", departed("nanos-negative", departed_at=backwards), "TIME_OUT_OF_RANGE", no_time
    )
    # The record says when it became known only by its own timestamp, which is today.
    unsaid = departed("known-today").without("ce_recordedtime", "ce_time")
    yield Bad("known-today", unsaid, "LATE_BEYOND_LIMIT", "may be")
