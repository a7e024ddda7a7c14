from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from examples.flights.times import MINUTE_US, next_showing, with_times

_ZONES = [
    "America/New_York",
    "America/Denver",
    "America/Phoenix",
    "America/Anchorage",
    "Pacific/Honolulu",
    "America/Puerto_Rico",
]
_MINUTES = st.integers(0, 364 * 24 * 60).map(
    lambda minutes: datetime(2013, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


def _us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def _next_showing(after: datetime, clock: int | None, zone: str) -> int | None:
    rows = pl.DataFrame(
        {"after": [_us(after)], "clock": [clock], "zone": [zone]}, schema_overrides={"clock": pl.Int64}
    )
    found: list[int | None] = next_showing(rows, after="after", clock="clock").to_list()
    return found[0]


def _watch_the_clock(after: datetime, clock: int, zone: str) -> int:
    """Look at the clock every minute until it shows the time."""
    for minutes in range(1, 25 * 60 + 1):
        moment = after + timedelta(minutes=minutes)
        shown = moment.astimezone(ZoneInfo(zone))
        if shown.hour * 100 + shown.minute == clock % 2400:
            return _us(moment)
    raise AssertionError("the clock skips this time: choose another example")


def _is_skipped(clock: int) -> bool:
    return 200 <= clock < 300


@given(_MINUTES, st.integers(0, 23), st.integers(0, 59), st.sampled_from(_ZONES))
@example(datetime(2013, 11, 3, 4, 40, tzinfo=UTC), 1, 30, "America/New_York")
@example(datetime(2013, 11, 3, 5, 40, tzinfo=UTC), 1, 30, "America/New_York")
@example(datetime(2013, 3, 10, 6, 40, tzinfo=UTC), 3, 30, "America/New_York")
@example(datetime(2013, 6, 1, 3, 59, tzinfo=UTC), 0, 0, "America/New_York")
def test_a_clock_is_read_as_whoever_watches_it_would(
    after: datetime, hour: int, minute: int, zone: str
) -> None:
    clock = hour * 100 + minute
    if not _is_skipped(clock):
        assert _next_showing(after, clock, zone) == _watch_the_clock(after, clock, zone)


def test_a_time_the_clock_skips_is_read_as_if_the_clock_had_not_been_changed() -> None:
    evening_before = datetime(2013, 3, 10, 3, 0, tzinfo=UTC)
    found = _next_showing(evening_before, 203, "America/New_York")
    assert found == _us(datetime(2013, 3, 10, 3, 3, tzinfo=ZoneInfo("America/New_York")))


def test_twenty_four_hundred_is_the_next_midnight() -> None:
    found = _next_showing(datetime(2013, 6, 2, 3, 30, tzinfo=UTC), 2400, "America/New_York")
    assert found == _us(datetime(2013, 6, 2, 4, 0, tzinfo=UTC))


def test_the_moment_itself_is_not_the_next() -> None:
    noon = datetime(2013, 6, 1, 16, 0, tzinfo=UTC)
    assert _next_showing(noon, 1200, "America/New_York") == _us(noon + timedelta(days=1))


def test_a_clock_nobody_noted_has_no_moment() -> None:
    assert _next_showing(datetime(2013, 6, 1, tzinfo=UTC), None, "America/New_York") is None


def _flight(**changed: object) -> dict[str, object]:
    return {
        "time_hour": "2013-06-01T22:00:00Z",
        "minute": 30,
        "dep_time": 1840,
        "dep_delay": 10,
        "sched_arr_time": 2010,
        "arr_time": 2005,
        "arr_delay": -5,
        "zone": "America/Chicago",
    } | changed


def _timed(**changed: object) -> dict[str, object]:
    clocks = ("dep_time", "dep_delay", "arr_time", "arr_delay")
    rows = pl.DataFrame([_flight(**changed)], schema_overrides=dict.fromkeys(clocks, pl.Int64))
    return with_times(rows).row(0, named=True)


_SCHEDULED_US = _us(datetime(2013, 6, 1, 22, 30, tzinfo=UTC))
_SCHEDULED_ARRIVAL_US = _us(datetime(2013, 6, 2, 1, 10, tzinfo=UTC))


def test_a_flight_that_arrived_ended_as_late_as_the_source_says() -> None:
    timed = _timed()
    assert timed["end"] == "ARRIVED"
    assert timed["scheduled_departure_us"] == _SCHEDULED_US
    assert timed["departed_us"] == _SCHEDULED_US + 10 * MINUTE_US
    assert timed["scheduled_arrival_us"] == _SCHEDULED_ARRIVAL_US
    assert timed["ended_us"] == _SCHEDULED_ARRIVAL_US - 5 * MINUTE_US


def test_a_cancelled_flight_never_left_and_ends_when_it_should_have_arrived() -> None:
    timed = _timed(dep_time=None, dep_delay=None, arr_time=None, arr_delay=None)
    assert (timed["end"], timed["departed_us"]) == ("CANCELLED", None)
    assert timed["ended_us"] == _SCHEDULED_ARRIVAL_US


@pytest.mark.parametrize("delay", [10, 1301])
def test_a_diverted_flight_without_a_recorded_arrival_ends_a_scheduled_duration_after_it_left(
    delay: int,
) -> None:
    timed = _timed(arr_time=None, arr_delay=None, dep_delay=delay)
    assert timed["end"] == "DIVERTED"
    assert timed["ended_us"] == _SCHEDULED_ARRIVAL_US + delay * MINUTE_US


def test_a_diverted_flight_with_a_recorded_arrival_ends_then() -> None:
    timed = _timed(arr_time=130, arr_delay=None)
    assert timed["end"] == "DIVERTED"
    assert timed["ended_us"] == _us(datetime(2013, 6, 2, 6, 30, tzinfo=UTC))
