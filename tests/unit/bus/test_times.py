"""RFC 3339 to and from microseconds."""

from datetime import UTC, datetime, timedelta

import pytest
from bus.times import LATEST_US, format_rfc3339, parse_rfc3339
from hypothesis import given
from hypothesis import strategies as st

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(0, LATEST_US - 1))
def test_every_time_survives_the_round_trip(time_us: int) -> None:
    assert parse_rfc3339(format_rfc3339(time_us)) == time_us


@given(st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
def test_a_zone_is_converted_to_utc(moment: datetime) -> None:
    # Zones of long ago have offsets with seconds, which RFC 3339 cannot say.
    if (moment.utcoffset() or timedelta(0)) % timedelta(minutes=1) == timedelta(0):
        assert parse_rfc3339(moment.isoformat()) == (moment - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("2013-01-01T05:15:00Z", 1_357_017_300_000_000),
        ("2013-01-01t05:15:00.5z", 1_357_017_300_500_000),
        ("2013-01-01 00:15:00-05:00", 1_357_017_300_000_000),
        ("2013-01-01T05:15:00.123456789Z", 1_357_017_300_123_456),
    ],
)
def test_the_forms_of_the_standard_are_read(text: str, time_us: int) -> None:
    assert parse_rfc3339(text) == time_us


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1357017300",
        "2013-01-01",
        "2013-01-01T05:15:00",  # no zone
        "20130101T051500.000000Z",
        "2013-W01-2T05:15:00.000Z",
        "2013-13-01T05:15:00Z",
        "2013-01-01T25:15:00Z",
        "2013-01-01T05:15:00,5Z",
        "1969-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "\u0662\u0660\u0661\u0663-01-01T05:15:00Z",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rfc3339(text)
