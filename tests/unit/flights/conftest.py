from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from examples.flights.data import read_flights, read_weather
from examples.flights.streams import Streams, load_streams
from examples.flights.times import with_times

if TYPE_CHECKING:
    import polars as pl


@pytest.fixture(scope="session")
def flights() -> pl.DataFrame:
    """All flights of the year, with their times."""
    return with_times(read_flights())


@pytest.fixture(scope="session")
def weather() -> pl.DataFrame:
    return read_weather()


@pytest.fixture(scope="session")
def two_days() -> Streams:
    return load_streams(datetime(2013, 2, 12, 5, tzinfo=UTC), datetime(2013, 2, 14, 5, tzinfo=UTC))


@pytest.fixture(scope="session")
def one_evening() -> Streams:
    return load_streams(datetime(2013, 2, 12, 22, tzinfo=UTC), datetime(2013, 2, 13, 1, 7, tzinfo=UTC))
