"""What the README says about the source, counted on every row: the figures there and here change together."""

from __future__ import annotations

import polars as pl

from examples.flights.times import MINUTE_US


def _shown(moment: str, zone: str) -> pl.Expr:
    """What a clock in the zone shows, as HHMM."""
    local = pl.from_epoch(moment, time_unit="us").dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return local.dt.hour().cast(pl.Int64) * 100 + local.dt.minute()


def _disagreeing(flights: pl.DataFrame, moment: str, noted: str, zone: str | None = None) -> pl.DataFrame:
    """Rows whose noted wall clock is not what the computed moment shows."""
    groups = flights.with_columns(zone=pl.lit(zone)) if zone else flights
    found = [
        group.filter(_shown(moment, name[0]) != pl.col(noted) % 2400)
        for name, group in groups.drop_nulls([moment, noted]).group_by("zone")
    ]
    return pl.concat(found)


def test_every_flight_has_an_id_of_its_own(flights: pl.DataFrame) -> None:
    assert flights.height == 336_776
    assert flights["flight_id"].n_unique() == 336_776
    without_origin = flights.select("year", "month", "day", "carrier", "flight").is_duplicated().sum()
    assert without_origin == 48


def test_the_utc_hour_is_the_local_hour_on_every_row(flights: pl.DataFrame) -> None:
    local = pl.datetime(
        "year", "month", "day", pl.col("sched_dep_time") // 100, pl.col("sched_dep_time") % 100
    )
    zoned = local.dt.replace_time_zone("America/New_York", ambiguous="earliest")
    assert flights.filter(zoned.dt.epoch("us") != pl.col("scheduled_departure_us")).is_empty()


def test_every_departure_shows_on_the_clock_as_noted(flights: pl.DataFrame) -> None:
    assert _disagreeing(flights, "departed_us", "dep_time", "America/New_York").is_empty()
    assert _disagreeing(flights, "scheduled_departure_us", "sched_dep_time", "America/New_York").is_empty()


def test_every_arrival_but_one_shows_on_the_clock_as_noted(flights: pl.DataFrame) -> None:
    """The one: noted as 02:03 in the night in which the clock went from 02:00 to 03:00."""
    assert _disagreeing(flights, "scheduled_arrival_us", "sched_arr_time").is_empty()
    arrived = flights.filter(pl.col("end") == "ARRIVED")
    disagreeing = _disagreeing(arrived, "ended_us", "arr_time")
    assert disagreeing.select("dest", "month", "day", "arr_time").rows() == [("PBI", 3, 9, 203)]


def test_no_flight_is_in_the_air_for_longer_than_it_is_away(flights: pl.DataFrame) -> None:
    arrived = flights.filter(pl.col("end") == "ARRIVED")
    on_the_ground = (pl.col("ended_us") - pl.col("departed_us")) // MINUTE_US - pl.col("air_time")
    assert arrived.select(least=on_the_ground.min(), most=on_the_ground.max()).row(0) == (5, 235)


def test_no_flight_ends_before_it_left(flights: pl.DataFrame) -> None:
    assert flights.filter(pl.col("ended_us") <= pl.col("departed_us")).is_empty()


def test_every_flight_ended_in_one_of_three_ways(flights: pl.DataFrame) -> None:
    assert dict(flights["end"].value_counts().rows()) == {
        "ARRIVED": 327_346,
        "CANCELLED": 8_255,
        "DIVERTED": 1_175,
    }
    diverted = flights.filter(pl.col("end") == "DIVERTED")
    assert diverted["arr_time"].null_count() == 458
    assert flights["dep_delay"].null_count() == 8_255


def test_some_cancelled_flights_name_no_aircraft(flights: pl.DataFrame) -> None:
    unnamed = flights.filter(pl.col("tailnum").is_null())
    assert unnamed.height == 2_512
    assert set(unnamed["end"]) == {"CANCELLED"}


def test_midnights_are_noted_as_twenty_four_hundred(flights: pl.DataFrame) -> None:
    assert (flights["dep_time"] == 2400).sum() == 29
    assert (flights["arr_time"] == 2400).sum() == 150


def test_the_weather_has_each_hour_once_and_some_hours_never(weather: pl.DataFrame) -> None:
    assert weather.height == 26_115
    assert weather.select("origin", "time_hour").is_duplicated().sum() == 0
    # The local columns show one o'clock twice when daylight saving ends; the UTC hour does not.
    assert weather.select("origin", "year", "month", "day", "hour").is_duplicated().sum() == 6
    assert dict(weather["origin"].value_counts().rows()) == {"EWR": 8_703, "JFK": 8_706, "LGA": 8_706}


def test_the_weather_has_gaps_and_one_impossible_wind(weather: pl.DataFrame) -> None:
    missing = weather.null_count().row(0, named=True)
    assert {
        name: missing[name] for name in ("temp", "dewp", "humid", "wind_speed", "wind_gust", "pressure")
    } == {
        "temp": 1,
        "dewp": 1,
        "humid": 1,
        "wind_speed": 4,
        "wind_gust": 20_778,
        "pressure": 2_729,
    }
    storm = weather.filter(pl.col("wind_speed") > 100)
    assert storm.select("origin", "time_hour").rows() == [("EWR", "2013-02-12T08:00:00Z")]
    assert storm["wind_speed"].to_list() == [1048.36058]
