"""Calendar parts equal zoneinfo's at every moment, over every change of offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from feature_store import day_of_week, local_hour, local_minute_of_day, month, request
from feature_store.expressions import NULL_TIME_US
from feature_store.expressions.calendar import FIRST_YEAR, LAST_YEAR, zone_offsets
from hypothesis import given, settings
from hypothesis import strategies as st

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# North and south, half and quarter hours, a change at midnight, a day left out, none since 1900, ended rules.
ZONES = (
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Havana",
    "Pacific/Apia",
    "Africa/Casablanca",
    "UTC",
    "America/Puerto_Rico",
)
FIRST_US = (datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
AFTER_US = (datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def parts(time_us: list[int], zone: str) -> list[list[float]]:
    at = request("at")
    columns = {"at": np.array(time_us, dtype=np.int64)}
    return [
        expression.evaluate(columns, len(time_us)).tolist()
        for expression in (
            local_hour(at, zone=zone),
            local_minute_of_day(at, zone=zone),
            day_of_week(at, zone=zone),
            month(at, zone=zone),
        )
    ]


def by_zoneinfo(time_us: list[int], zone: str) -> list[list[float]]:
    local = [(EPOCH + timedelta(microseconds=value)).astimezone(ZoneInfo(zone)) for value in time_us]
    return [
        [float(moment.hour) for moment in local],
        [float(moment.hour * 60 + moment.minute) for moment in local],
        [float(moment.weekday()) for moment in local],
        [float(moment.month) for moment in local],
    ]


# No deadline: a zone's table is built when it is first asked for.
@settings(deadline=None)
@given(
    st.sampled_from(ZONES),
    st.lists(st.integers(FIRST_US, AFTER_US - 1), min_size=1, max_size=20),
)
def test_parts_equal_zoneinfo_at_any_moment(zone: str, time_us: list[int]) -> None:
    assert parts(time_us, zone) == by_zoneinfo(time_us, zone)


@settings(deadline=None)
@given(st.sampled_from(ZONES), st.data())
def test_parts_equal_zoneinfo_around_every_change_of_offset(zone: str, data: st.DataObject) -> None:
    starts = zone_offsets(zone).starts.astype(np.int64).tolist()
    start = data.draw(st.sampled_from(starts[:-1]))
    time_us = [start + step for step in (-1, 0, 1, 3_599_999_999, 3_600_000_000) if start + step >= FIRST_US]
    assert parts(time_us, zone) == by_zoneinfo(time_us, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_no_change_of_offset_is_missed(zone: str) -> None:
    hourly = range(int(datetime(2009, 1, 1, tzinfo=UTC).timestamp()), 1_400_000_000, 3_600)
    time_us = [second * 1_000_000 for second in hourly]
    assert parts(time_us, zone)[1] == by_zoneinfo(time_us, zone)[1]


def test_the_hour_that_daylight_saving_leaves_out_and_the_one_it_repeats() -> None:
    spring = [
        (datetime(2013, 3, 10, hour, 30, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) for hour in (6, 7)
    ]
    autumn = [
        (datetime(2013, 11, 3, hour, 30, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) for hour in (5, 6)
    ]
    assert parts(spring, "America/New_York")[0] == [1.0, 3.0]
    assert parts(autumn, "America/New_York")[0] == [1.0, 1.0]


def test_null_and_times_beyond_the_table_have_no_parts() -> None:
    for column in parts([NULL_TIME_US, FIRST_US - 1, AFTER_US, 2**63 - 1], "America/New_York"):
        assert np.isnan(column).all()
