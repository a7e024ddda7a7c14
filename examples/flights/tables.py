"""What happened and what is asked, one table each, in the order it became known.

A table's first column is the time that orders it, its second the id that orders what happened at one time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from examples.flights.data import read_flights, read_weather
from examples.flights.times import MINUTE_US, with_times

if TYPE_CHECKING:
    from datetime import datetime

_ASKED_AHEAD_US: Final = 60 * MINUTE_US
# A row is the report of minute 51, for which precipitation adds up; none of it is known before.
_REPORTED_US: Final = 51 * MINUTE_US
# Longer than any flight with its delay: the scheduled hour decides which flights a period can concern.
_MARGIN: Final = timedelta(days=3)
_FLIGHT: Final = ("carrier", "tailnum", "origin", "dest", "distance", "scheduled_departure_us")


@dataclass(frozen=True, slots=True)
class Tables:
    """The flights of a period and some days around it."""

    departures: pl.DataFrame
    ends: pl.DataFrame
    weather: pl.DataFrame
    questions: pl.DataFrame


def read_tables(from_: datetime, to: datetime) -> Tables:
    """Read everything that can concern the period, and more around it."""
    concerned = _hour().is_between(from_ - _MARGIN, to + _MARGIN)
    flights = with_times(read_flights().filter(concerned))
    weather = read_weather().filter(concerned)
    return Tables(
        departures=_ordered(
            flights.drop_nulls("departed_us"), "departed_us", "flight_id", *_FLIGHT, "dep_delay"
        ),
        ends=_ordered(flights, "ended_us", "flight_id", *_FLIGHT, "scheduled_arrival_us", "end", "arr_delay"),
        weather=_weather(weather),
        questions=_ordered(
            flights.with_columns(asked_us=pl.col("scheduled_departure_us") - _ASKED_AHEAD_US),
            "asked_us",
            "flight_id",
            *_FLIGHT,
        ),
    )


def _weather(weather: pl.DataFrame) -> pl.DataFrame:
    observed = weather.with_columns(
        observed_us=_hour().dt.epoch("us") + _REPORTED_US,
        weather_id=pl.concat_str("origin", "time_hour", separator="-"),
    )
    measured = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
    return _ordered(observed, "observed_us", "weather_id", "origin", *measured)


def _ordered(rows: pl.DataFrame, time: str, identity: str, *columns: str) -> pl.DataFrame:
    return rows.select(time, identity, *columns).sort(time, identity)


def _hour() -> pl.Expr:
    return pl.col("time_hour").str.to_datetime(time_unit="us", time_zone="UTC")
