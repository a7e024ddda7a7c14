"""When things happened: from wall clocks in several zones to microseconds since the epoch.

The source says when a flight was due to leave in UTC, how late it left and arrived in minutes, and
everything else as what an airport's clock showed ("2359"), with no date. Only one rule is needed to read
such a clock: the event is the first moment after the one known before it at which the airport's clock shows
that time. No flight here lasts a day.
"""

from __future__ import annotations

from typing import Final

import polars as pl

MINUTE_US: Final = 60_000_000
_DAY_MINUTES: Final = 1440

SCHEDULED_DEPARTURE_US: Final = "scheduled_departure_us"
SCHEDULED_ARRIVAL_US: Final = "scheduled_arrival_us"
DEPARTED_US: Final = "departed_us"
ENDED_US: Final = "ended_us"
END: Final = "end"

ARRIVED: Final = "ARRIVED"
CANCELLED: Final = "CANCELLED"
DIVERTED: Final = "DIVERTED"


def with_times(flights: pl.DataFrame) -> pl.DataFrame:
    """Add the times of each flight and how it ended.

    Args:
        flights: The source's columns, and `zone`, the destination's.

    Returns:
        The same rows in the same order with `scheduled_departure_us`, `scheduled_arrival_us`, `departed_us`
        (null if it never left), `ended_us` and `end`.
    """
    left = flights.with_columns(_scheduled_departure().alias(SCHEDULED_DEPARTURE_US)).with_columns(
        _later("dep_delay", SCHEDULED_DEPARTURE_US).alias(DEPARTED_US)
    )
    scheduled = left.with_columns(
        next_showing(left, after=SCHEDULED_DEPARTURE_US, clock="sched_arr_time").alias(SCHEDULED_ARRIVAL_US),
        next_showing(left, after=DEPARTED_US, clock="arr_time").alias("_recorded_arrival_us"),
    )
    return (
        scheduled.with_columns(_end().alias(END))
        .with_columns(_ended().alias(ENDED_US))
        .drop("_recorded_arrival_us")
    )


def next_showing(rows: pl.DataFrame, *, after: str, clock: str) -> pl.Series:
    """Find the first moment after `after` at which the clock of the row's `zone` shows `clock`.

    A time that the clock shows twice, where daylight saving ends, is its first showing after `after`. A
    time that it skips,
    where daylight saving begins, is read as if the clock had not been changed yet: 02:03 is then 03:03 of
    the changed clock.

    Args:
        rows: Has the named columns and `zone`, an IANA name.
        after: Column of microseconds since the epoch, UTC.
        clock: Column of wall-clock times as HHMM integers; 2400 is midnight.

    Returns:
        Microseconds since the epoch, in the order of `rows`; null where `after` or `clock` is.
    """
    numbered = rows.select(pl.col(after).alias("after"), pl.col(clock).alias("clock"), "zone").with_row_index(
        "row"
    )
    read = [_next_showing_in(zone[0], group) for zone, group in numbered.group_by("zone")]
    return pl.concat(read).sort("row")["moment"] if read else pl.Series("moment", [], dtype=pl.Int64)


def _scheduled_departure() -> pl.Expr:
    hour = pl.col("time_hour").str.to_datetime(time_unit="us", time_zone="UTC")
    return hour.dt.epoch("us") + pl.col("minute").cast(pl.Int64) * MINUTE_US


def _later(minutes: str, than: str) -> pl.Expr:
    return pl.col(than) + pl.col(minutes).cast(pl.Int64) * MINUTE_US


def _end() -> pl.Expr:
    return (
        pl.when(pl.col("dep_time").is_null())
        .then(pl.lit(CANCELLED))
        .when(pl.col("arr_delay").is_null())
        .then(pl.lit(DIVERTED))
        .otherwise(pl.lit(ARRIVED))
    )


def _ended() -> pl.Expr:
    # A diverted flight cannot have ended before it left, so without a recorded arrival its schedule moves
    # with its departure.
    expected = _later("dep_delay", SCHEDULED_ARRIVAL_US)
    return (
        pl.when(pl.col(END) == ARRIVED)
        .then(_later("arr_delay", SCHEDULED_ARRIVAL_US))
        .when(pl.col(END) == DIVERTED)
        .then(pl.coalesce("_recorded_arrival_us", expected))
        .otherwise(pl.col(SCHEDULED_ARRIVAL_US))
    )


def _next_showing_in(zone: str, rows: pl.DataFrame) -> pl.DataFrame:
    local_day = (
        pl.from_epoch("after", time_unit="us")
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone(zone)
        .dt.replace_time_zone(None)
        .dt.truncate("1d")
    )
    minutes = (pl.col("clock") // 100 * 60 + pl.col("clock") % 100) % _DAY_MINUTES
    moments = [
        moment
        for day in (0, 1)
        for moment in _moments(local_day + pl.duration(minutes=minutes + day * _DAY_MINUTES), zone)
    ]
    later = [pl.when(moment > pl.col("after")).then(moment) for moment in moments]
    return rows.select("row", pl.min_horizontal(later).alias("moment"))


def _moments(local: pl.Expr, zone: str) -> tuple[pl.Expr, pl.Expr]:
    """Return the first and the second moment at which a local time was shown, mostly one and the same."""
    hour = pl.duration(hours=1)
    skipped = (
        (local - hour).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.epoch("us")
    )
    first, second = (
        local.dt.replace_time_zone(zone, ambiguous=showing, non_existent="null").dt.epoch("us")
        for showing in ("earliest", "latest")
    )
    as_if_unchanged = skipped + 60 * MINUTE_US
    return first.fill_null(as_if_unchanged), second.fill_null(as_if_unchanged)
