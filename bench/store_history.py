"""A training set of a year: 336,776 flights x 30 features, against pandas and against Feast.

Ours is a process of its own that reads the events' Parquet files, makes the batches and joins; its peak
memory is the whole process's. The events are the flights example's real ones, all three sources of them; the
features are the first thirty of its model, over seven views.

`pandas_form` is as vectorised as pandas allows: for each view, cumulative sums by entity once, then one
`merge_asof(by=entity)` for the end of all windows and one for the start of each. It goes by event time
alone: it knows no recorded time, late event, duplicate, TTL or status, all of which ours obeys, and it leaves
out the one Last. So it does less, and in floating point; it takes about three quarters of our processor time,
and is no part of any claim.

Feast's `get_historical_features` (local store, Dask) joins each request with every row of its entity and then
drops all but one, which cannot be done with an airport's 110,000 departures. So it is asked for a sample, of
feature rows that are ready-made; ours answers the same requests from the events. The claim of ten times is
over Feast.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from feature_store import AsOf, Contract, EventBatch, decode_events, load_project, point_in_time
from feature_store.definitions import Feature, Mean, Share
from feature_store.events import from_arrow
from feature_store.expressions import field

from bench.store_events import HOUR_US, MODEL, PROJECT, Row, dealt, row
from bench.store_feast import feast, feast_is_here
from examples.flights.streams import load_streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from feature_store import Project, Requests, Source
    from numpy.typing import NDArray

    from examples.flights.streams import EventStream

FEATURES = 30
FROM, TO = datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 2, tzinfo=UTC)
ROUNDS = 3
SAMPLED, SAMPLED_DAYS = 500, 14
MOST_SECONDS, MOST_GB = 20.0, 2.0


def measure_history() -> list[Row]:
    """Measure each in a process of its own, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        write_events(Path(folder))
        ours, peer = (told_by(form, folder) for form in ("native", "pandas"))
        return [*year_rows(ours, peer), *measure_feast_history(Path(folder))]


def year_rows(ours: dict[str, Any], peer: dict[str, Any]) -> list[Row]:
    fast, small = ours["seconds"] <= MOST_SECONDS, ours["peak_gb"] <= MOST_GB
    form = "merge_asof per view and window edge, by event time alone"
    return [
        row(
            "store.history_set",
            ours["seconds"],
            f"s, files to vectors, {ours['rows']:,} x {FEATURES}",
            ("pandas, files to vectors", peer["seconds"]),
            (f"value <= {MOST_SECONDS:g}", fast),
        ),
        row(
            "store.history_memory",
            ours["peak_gb"],
            "GB at the most",
            ("pandas", peer["peak_gb"]),
            (f"value <= {MOST_GB:g}", small),
        ),
        row("store.history_join", ours["join_seconds"], "s", (form, peer["join_seconds"])),
    ]


def measure_feast_history(folder: Path) -> list[Row]:
    """Measure a sample: requests of a day, over the fortnight before."""
    if not feast_is_here():
        return []
    project = load_project(PROJECT)
    contract = thirty_features(project)
    events = {topic: first_days(batch) for topic, batch in read_events(project, folder).items()}
    requests = requests_of(project, events)
    requests = requests.take(np.sort(np.argsort(requests.time_us)[-SAMPLED:]))
    ours_s = min(seconds_of(contract, events, requests) for _ in range(ROUNDS))
    sample = folder / "sample"
    sample.mkdir()
    write_for_feast(sample, contract, events, requests)
    feast_s = feast("history", str(sample))["seconds"]
    asked = f"s, {SAMPLED:,} requests over {SAMPLED_DAYS} days of events"
    against = ("Feast's get_historical_features, windows ready-made", feast_s)
    return [row("store.history_sample", ours_s, asked, against, ("ratio <= 0.1", ours_s <= feast_s / 10))]


def seconds_of(contract: Contract, events: Mapping[str, EventBatch], requests: Requests) -> float:
    start = time.perf_counter()
    point_in_time(contract, events, requests, AsOf())
    return time.perf_counter() - start


def first_days(batch: EventBatch) -> EventBatch:
    until_us = int(FROM.timestamp() * 1e6) + SAMPLED_DAYS * 24 * HOUR_US
    return batch.take(batch.recorded_time_us < until_us)


def write_for_feast(
    folder: Path, contract: Contract, events: Mapping[str, EventBatch], requests: Requests
) -> None:
    """Write the requests, and for each view a row an event with a number for each of its features."""
    when = pd.to_datetime(requests.time_us, unit="us", utc=True)
    pd.DataFrame({**requests.entities, "event_timestamp": when}).to_parquet(folder / "requests.parquet")
    random = np.random.default_rng(1)
    for view in contract.views:
        batch = events[view.source.topic]
        features = [one for one in contract.features if isinstance(one, Feature) and one.view is view]
        numbers = {
            one.full_name.replace(".", "__"): random.normal(size=len(batch)).astype("f4") for one in features
        }
        at = pd.to_datetime(batch.event_time_us, unit="us", utc=True)
        frame = pd.DataFrame({view.entity.name: view.keys_of(batch), "event_timestamp": at, **numbers})
        frame.dropna().to_parquet(folder / f"view_{view.name}.parquet")


def told_by(form: str, folder: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.store_history", form, folder]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=root, env=dict(os.environ))
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def write_events(folder: Path) -> None:
    """Write the year's events, as the lake has them."""
    project = load_project(PROJECT)
    for stream in load_streams(FROM, TO).sources:
        batch = decoded(project.sources[stream.topic], stream)
        pq.write_table(batch.to_arrow(), folder / f"{stream.topic}.parquet")


def decoded(source: Source, stream: EventStream) -> EventBatch:
    return decode_events(source, dealt(source, stream.events(slice(0, len(stream)))))[0]


# What each of the two does


def thirty_features(project: Project) -> Contract:
    spec = project.models[MODEL]
    return Contract.over("", spec.features[:FEATURES], spec.examples.inputs)


def read_events(project: Project, folder: Path) -> dict[str, EventBatch]:
    return {
        topic: from_arrow(source, pq.read_table(folder / f"{topic}.parquet"))
        for topic, source in project.sources.items()
    }


def requests_of(project: Project, events: Mapping[str, EventBatch]) -> Requests:
    spec = project.models[MODEL]
    return spec.examples.of(events[spec.examples.source.topic], spec.request_key).requests


def pandas_form(
    contract: Contract, events: Mapping[str, EventBatch], requests: Requests
) -> dict[str, NDArray[np.float64]]:
    """Return the features by name, float64[n]; NaN where there is none."""
    made: dict[str, NDArray[np.float64]] = {}
    for view in contract.views:
        batch = events[view.source.topic]
        features = [one for one in contract.features if isinstance(one, Feature) and one.view is view]
        log = pd.DataFrame({"key": view.keys_of(batch), "at": batch.event_time_us})
        for name, column in summed(features, batch):
            log[name] = column
        log = log[log["key"].notna() & (log["key"] != "")].sort_values("at", kind="stable")
        sums = log.drop(columns="at").groupby("key", sort=False).cumsum()
        log = pd.concat([log[["key", "at"]], sums], axis=1)
        asked = pd.DataFrame({"key": requests.keys_of(view.entity), "at": requests.time_us})
        asked["row"] = np.arange(len(asked))
        asked = asked[asked["key"].notna()]
        end = looked_up(log, asked)
        for aggregation in {one.aggregation.window: one.aggregation for one in features}.values():
            first_us = (asked["at"] // aggregation.tile_us - aggregation.tiles + 1) * aggregation.tile_us
            held = end - looked_up(log, asked.assign(at=first_us - 1))
            for feature in features:
                if feature.aggregation.window == aggregation.window:
                    values = np.full(len(requests), np.nan)
                    values[held.index] = value_of(feature, held)
                    made[feature.full_name] = values
    return made


def summed(features: list[Feature], batch: EventBatch) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield what is summed, once each: one for counts, numbers and whether there is one, conditions."""
    yield "events", np.ones(len(batch))
    for feature in features:
        aggregation = feature.aggregation
        if isinstance(aggregation, Share):
            among = aggregation.among
            counted = np.ones(len(batch)) if among is None else among.evaluate(batch.columns, len(batch)) == 1
            chosen = aggregation.where.evaluate(batch.columns, len(batch)) == 1
            yield f"{feature.full_name}.of", counted.astype(float)
            yield f"{feature.full_name}.part", (counted * chosen).astype(float)
        elif hasattr(aggregation, "of"):
            of = field(aggregation.of) if isinstance(aggregation.of, str) else aggregation.of
            numbers = of.evaluate(batch.columns, len(batch))
            if aggregation.where is not None:
                chosen = aggregation.where.evaluate(batch.columns, len(batch)) == 1
                numbers = np.where(chosen, numbers, np.nan)
            yield f"{aggregation.of}.sum", np.nan_to_num(numbers)
            yield f"{aggregation.of}.some", (~np.isnan(numbers)).astype(float)


def looked_up(log: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Return the sums as of a time, by the request's row; zero before an entity's first event."""
    found = pd.merge_asof(asked.sort_values("at", kind="stable"), log, on="at", by="key")
    return found.set_index("row").drop(columns=["key", "at"]).fillna(0.0).sort_index()


def value_of(feature: Feature, held: pd.DataFrame) -> NDArray[np.float64]:
    aggregation = feature.aggregation
    with np.errstate(all="ignore"):
        if isinstance(aggregation, Share):
            share: NDArray[np.float64] = (
                held[f"{feature.full_name}.part"] / held[f"{feature.full_name}.of"]
            ).to_numpy()
            return share
        if isinstance(aggregation, Mean):
            mean: NDArray[np.float64] = (
                held[f"{aggregation.of}.sum"] / held[f"{aggregation.of}.some"]
            ).to_numpy()
            return mean
    events: NDArray[np.float64] = held["events"].to_numpy()
    return events


def main(form: str, folder: Path) -> None:
    """Measure one of the two in this process, and print what was found."""
    project = load_project(PROJECT)
    contract = thirty_features(project)
    start = time.perf_counter()
    events = read_events(project, folder)
    requests = requests_of(project, events)
    read_seconds = time.perf_counter() - start
    took = []
    for _ in range(ROUNDS):
        if form == "native":
            took.append(seconds_of(contract, events, requests))
            continue
        start = time.perf_counter()
        pandas_form(contract, events, requests)
        took.append(time.perf_counter() - start)
    told = {
        "rows": len(requests),
        "join_seconds": min(took),
        "seconds": read_seconds + min(took),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
