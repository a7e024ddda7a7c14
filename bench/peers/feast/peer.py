"""Feast, doing what bench measures: run by bench in Feast's own environment, on the same Valkey and cores.

`peer.py online HOST:PORT FOLDER` writes 4 views of 4 float32 features each, then reads 16 features of one and
of a hundred requests: by the provider's `online_write_batch` and `online_read` of ready-made keys, which is
the least that Feast does, and by `get_online_features`, which is what its users call. `peer.py history
FOLDER` makes a training set of the Parquet files that bench left there. Each prints one line of JSON. Nothing
of Feast is patched.
"""

from __future__ import annotations

import json
import logging
import statistics
import sys
import time
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Float32

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = {"origin": 3, "destination": 105, "carrier": 16, "tail_number": 4_043}
"""As many entities as there are airports, carriers and aircraft."""
FEATURES_A_VIEW = 4
ROUNDS, CALLS, MANY = 5, 300, 100
NOW = datetime(2013, 12, 1, tzinfo=UTC)


def store_of(folder: Path, online: dict[str, str] | None) -> FeatureStore:
    return FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=str(folder / "registry.db"),
            online_store=online,
            offline_store={"type": "dask"},
            entity_key_serialization_version=3,
        )
    )


def view_of(entity: Entity, path: Path, features: list[str]) -> FeatureView:
    return FeatureView(
        name=path.stem,
        entities=[entity],
        ttl=timedelta(days=2),
        schema=[Field(name=name, dtype=Float32) for name in features],
        source=FileSource(path=str(path), timestamp_field="event_timestamp"),
    )


def entity_of(name: str) -> Entity:
    return Entity(name=name, join_keys=[name], value_type=ValueType.STRING)


# Online


def rows_of(key: str, count: int) -> pd.DataFrame:
    random = np.random.default_rng(1)
    features = {
        f"{key}_{one}": random.normal(size=count).astype(np.float32) for one in range(FEATURES_A_VIEW)
    }
    return pd.DataFrame({key: [f"{key}{one}" for one in range(count)], "event_timestamp": NOW, **features})


def online(address: str, folder: Path) -> dict[str, float]:
    store = store_of(folder, {"type": "redis", "connection_string": address})
    frames = {key: rows_of(key, count) for key, count in KEYS.items()}
    views = []
    for key, frame in frames.items():
        path = folder / f"feast_{key}.parquet"
        frame.to_parquet(path)
        views.append(view_of(entity_of(key), path, [f"{key}_{one}" for one in range(FEATURES_A_VIEW)]))
    store.apply([*(entity_of(key) for key in KEYS), *views])
    provider, config = store._get_provider(), store.config  # noqa: SLF001 - there is no public way
    batches = [(view, writes_of(key, frames[key])) for view, key in zip(views, KEYS, strict=True)]
    start = time.perf_counter()
    for view, batch in batches:
        provider.online_write_batch(config, view, batch, None)
    written = sum(map(len, frames.values())) / (time.perf_counter() - start)
    wanted = [f"feast_{key}:{name}" for key in KEYS for name in names_of(key)]

    def get(count: int) -> Callable[[], Any]:
        asked = [{key: f"{key}{one % have}" for key, have in KEYS.items()} for one in range(count)]
        return lambda: store.get_online_features(features=wanted, entity_rows=asked).to_dict()

    def read(count: int) -> Callable[[], Any]:
        asked = [
            (view, [key_of(key, f"{key}{one % have}") for one in range(count)], names_of(key))
            for view, (key, have) in zip(views, KEYS.items(), strict=True)
        ]
        return lambda: [provider.online_read(config, *one) for one in asked]

    assert all(value[0] is not None for value in get(1)().values())
    assert all(found[0][1] for found in read(1)())
    return {
        "read_one_us": p50_us(read(1), CALLS),
        "read_many_us": p50_us(read(MANY), CALLS // 10),
        "get_one_us": p50_us(get(1), CALLS // 3),
        "get_many_us": p50_us(get(MANY), CALLS // 30),
        "rows_a_second": written,
    }


def names_of(key: str) -> list[str]:
    return [f"{key}_{one}" for one in range(FEATURES_A_VIEW)]


def key_of(name: str, value: str) -> EntityKey:
    return EntityKey(join_keys=[name], entity_values=[Value(string_val=value)])


def writes_of(
    key: str, frame: pd.DataFrame
) -> list[tuple[EntityKey, dict[str, Value], datetime, datetime | None]]:
    rows = zip(*(frame[name].tolist() for name in [key, *names_of(key)]), strict=True)
    return [
        (
            key_of(key, row[0]),
            {name: Value(float_val=number) for name, number in zip(names_of(key), row[1:], strict=True)},
            NOW,
            None,
        )
        for row in rows
    ]


def p50_us(measured: Callable[[], object], calls: int) -> float:
    """Return the median of the rounds' medians."""
    medians = []
    for _ in range(ROUNDS):
        took = []
        for _ in range(calls):
            start = time.perf_counter()
            measured()
            took.append(time.perf_counter() - start)
        medians.append(statistics.median(took))
    return statistics.median(medians) * 1e6


# History


def history(folder: Path) -> dict[str, float]:
    """Join the requests of `requests.parquet` with every other file, each one view by its first column."""
    store = store_of(folder, {"type": "sqlite", "path": str(folder / "online.db")})
    asked = pd.read_parquet(folder / "requests.parquet")
    views: list[FeatureView] = []
    entities: dict[str, Entity] = {}
    for path in sorted(folder.glob("view_*.parquet")):
        columns = [str(one) for one in pd.read_parquet(path).columns]
        key, features = columns[0], columns[2:]
        entities.setdefault(key, entity_of(key))
        views.append(view_of(entities[key], path, features))
    store.apply([*entities.values(), *views])
    wanted = [f"{view.name}:{feature.name}" for view in views for feature in view.features]
    start = time.perf_counter()
    made: Any = store.get_historical_features(entity_df=asked, features=wanted).to_df()
    return {"rows": float(len(made)), "seconds": time.perf_counter() - start}


def main() -> None:
    """Measure what is asked for."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    told = online(sys.argv[2], Path(sys.argv[3])) if sys.argv[1] == "online" else history(Path(sys.argv[2]))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
