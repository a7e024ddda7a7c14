"""The real flights' features: equal to pandas' own, and blind to what was not yet known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from feature_store import Contract, EventBatch, Incoming, Requests, decode_events, load_project
from feature_store.offline import AsOf, point_in_time

from examples.flights.model import flight_delay
from examples.flights.streams import load_streams

if TYPE_CHECKING:
    from feature_store.vectors import Vectors

    from examples.flights.streams import EventStream

FROM, TO = datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 2, 15, tzinfo=UTC)
HOUR_US = 3_600_000_000
SAMPLED = 400


@dataclass(frozen=True)
class Learned:
    """Training features of a fortnight; the first two days only fill the windows."""

    events: dict[str, EventBatch]
    requests: Requests
    vectors: Vectors
    contract: Contract

    def column(self, name: str) -> Any:
        return self.vectors.values[:, self.contract.feature_names.index(name)]

    def frame(self, topic: str) -> pd.DataFrame:
        batch = self.events[topic]
        return pd.DataFrame(
            {**batch.columns, "event_us": batch.event_time_us, "recorded_us": batch.recorded_time_us}
        )


def learned(lag: timedelta = timedelta(0)) -> Learned:
    project = load_project("examples.flights")
    streams = load_streams(FROM, TO + lag, recorded_lag=lag)
    events = {source.topic: decoded(project.sources[source.topic], source) for source in streams.sources}
    contract = project.contract("flight-delay")
    ends = events["flights.arrived.v1"]
    requests = flight_delay.examples.of(ends, flight_delay.request_key).requests
    first = int(FROM.timestamp() * 1e6) + 48 * HOUR_US
    last = int(TO.timestamp() * 1e6)
    rows = np.flatnonzero((requests.time_us >= first) & (requests.time_us < last))
    order = np.lexsort([ends.ids[rows].astype(str), requests.time_us[rows]])
    requests = requests.take(rows[order])
    return Learned(events, requests, point_in_time(contract, events, requests, AsOf()), contract)


def decoded(source: Any, stream: EventStream) -> EventBatch:
    events = stream.events(slice(0, len(stream)))
    incoming = Incoming.of(events)
    batch, rejects = decode_events(source, incoming)
    # The fortnight has the one report of the year that no check lets through: 1,048 mph at Newark.
    assert [reject.index for reject in rejects] == [
        index for index, event in enumerate(events) if b'"wind_speed_mph": 1048' in event.data
    ]
    return batch


@pytest.fixture(scope="module")
def now() -> Learned:
    return learned()


@pytest.fixture(scope="module")
def sample(now: Learned) -> list[int]:
    return sorted(np.random.default_rng(7).choice(len(now.requests), SAMPLED, replace=False).tolist())


@pytest.mark.parametrize(
    ("feature", "topic", "key", "entity", "hours", "compute"),
    [
        ("origin_departures.mean_delay_1h", "flights.departed.v1", "origin", "origin", 1, "mean_delay"),
        (
            "destination_departures.late_share_3h",
            "flights.departed.v1",
            "destination",
            "destination",
            3,
            "late_share",
        ),
        ("carrier_departures.mean_delay_24h", "flights.departed.v1", "carrier", "carrier", 24, "mean_delay"),
        (
            "aircraft_departures.departures_24h",
            "flights.departed.v1",
            "tail_number",
            "tail_number",
            24,
            "count",
        ),
        (
            "carrier_arrivals.cancelled_share_24h",
            "flights.arrived.v1",
            "carrier",
            "carrier",
            24,
            "cancelled_share",
        ),
        ("origin_weather.temperature_f", "weather.observed.v1", "origin", "origin", 3, "last_temperature"),
    ],
)
def test_a_feature_equals_an_independent_computation_in_pandas(
    now: Learned, sample: list[int], feature: str, topic: str, key: str, entity: str, hours: int, compute: str
) -> None:
    by_entity = dict(list(now.frame(topic).groupby(key)))
    for row in sample:
        asked_us = int(now.requests.time_us[row])
        # Twelve tiles a window, aligned to the epoch: the oldest begins at most a window before.
        tile_us = hours * HOUR_US // 12
        begin_us = (asked_us // tile_us - 11) * tile_us
        history = by_entity.get(now.requests.entities[entity][row])
        expected = None
        if history is not None:
            known = history[(history.recorded_us <= asked_us) & (history.event_us >= begin_us)]
            expected = COMPUTATIONS[compute](known)
        default = float(now.contract.defaults[now.contract.feature_names.index(feature)])
        wanted = np.float32(default if expected is None else expected)
        assert now.column(feature)[row] == pytest.approx(wanted, rel=1e-6, abs=1e-6), (row, feature)


COMPUTATIONS: dict[str, Any] = {
    "mean_delay": lambda known: known.departure_delay_minutes.mean() if len(known) else None,
    "late_share": lambda known: (known.departure_delay_minutes >= 15).mean() if len(known) else None,
    "count": len,
    "cancelled_share": lambda known: (known.end == "CANCELLED").mean() if len(known) else None,
    "last_temperature": lambda known: (
        None
        if known.temperature_f.dropna().empty
        else known.dropna(subset=["temperature_f"]).sort_values("event_us").temperature_f.iloc[-1]
    ),
}


def test_features_get_staler_when_everything_becomes_known_later(now: Learned) -> None:
    late = learned(timedelta(hours=2))

    assert np.array_equal(late.requests.time_us, now.requests.time_us)
    # What is known two hours late is outside a window of one hour, without exception.
    assert now.column("origin_departures.departures_1h").mean() > 5
    assert late.column("origin_departures.departures_1h").max() == 0
    # A day's window still sees what is older than two hours: less than before, never more.
    before, after = (one.column("aircraft_departures.departures_24h") for one in (now, late))
    assert (after <= before).all()
    assert after.sum() < before.sum()


def test_no_feature_moves_when_only_the_future_changes(now: Learned) -> None:
    middle_us = int((FROM + (TO - FROM) / 2).timestamp() * 1e6)
    past = {topic: batch.take(batch.recorded_time_us <= middle_us) for topic, batch in now.events.items()}
    asked = np.flatnonzero(now.requests.time_us <= middle_us)

    again = point_in_time(now.contract, past, now.requests.take(asked), AsOf())

    assert np.array_equal(again.values, now.vectors.values[asked])
    assert np.array_equal(again.statuses, now.vectors.statuses[asked])
