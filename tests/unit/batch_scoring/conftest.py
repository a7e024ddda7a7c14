"""A lake of sales, requests about them, and a version that scores them."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from feature_store import EventBatch, Incoming, Project, decode_events, load_project
from model_package import Package
from model_package.store import read_folder
from model_package.testing import facts, write_logistic_package

HOUR_US = 3_600_000_000
START_US = 1_356_998_400_000_000
MODEL = "till-return"
TOPIC = "till.sales.v1"
FEATURES = 3

MakePackage = Callable[..., Package]


@pytest.fixture(scope="session")
def project() -> Project:
    """The project of sales."""
    here = str(Path(__file__).parent)
    sys.path.insert(0, here)
    try:
        importlib.import_module("till_project")
        return load_project("till_project")
    finally:
        sys.path.remove(here)


def sales(project: Project, count: int, seed: int = 0) -> EventBatch:
    """Sales of 30 hours, some recorded hours late, in an order of their own, some told twice."""
    rng = np.random.default_rng(seed)
    at_us = START_US + np.sort(rng.integers(0, 30 * HOUR_US, count))
    late_us = np.where(rng.random(count) < 0.2, rng.integers(0, 5 * HOUR_US, count), 1_000)
    rows = rng.permutation(count)
    rows = np.concatenate([rows, rows[: count // 20]])
    batch, rejects = decode_events(
        project.sources[TOPIC],
        Incoming(
            values=[
                json.dumps(
                    {
                        "sale": f"s{row}",
                        "customer": f"c{row % 41}",
                        "shop": f"p{row % 5}",
                        "at": str(np.datetime64(int(at_us[row]), "us")) + "Z",
                        "amount": float(row % 97),
                    }
                ).encode()
                for row in rows
            ],
            ids=[f"e{row}" for row in rows],
            keys=[b""] * len(rows),
            event_time_us=[int(at_us[row]) for row in rows],
            recorded_time_us=[int(at_us[row] + late_us[row]) for row in rows],
            partitions=[int(row) % 2 for row in rows],
            offsets=list(range(len(rows))),
        ),
    )
    assert rejects == []
    return batch


@pytest.fixture(scope="session")
def events(project: Project) -> EventBatch:
    """What the lake holds."""
    return sales(project, 1_500)


@pytest.fixture
def lake(tmp_path: Path, events: EventBatch) -> str:
    """A lake of them."""
    location = str(tmp_path / "lake")
    write_deltalake(f"{location}/sources/{TOPIC}", events.to_arrow())
    return location


def requests(count: int, seed: int = 1) -> pa.Table:
    """Requests, some of them about customers that nobody knows or that were long gone."""
    rng = np.random.default_rng(seed)
    time_us = START_US + rng.integers(0, 60 * HOUR_US, count)
    return pa.table(
        {
            "customer": [f"c{number}" for number in rng.integers(0, 50, count)],
            "shop": [f"p{number}" for number in rng.integers(0, 7, count)],
            "opened_at": pa.array(time_us - 7, pa.timestamp("us", tz="UTC")),
            "request_time": pa.array(time_us, pa.timestamp("us", tz="UTC")),
            "request_key": [f"k{number}" for number in range(count)],
            "note": [f"n{number}" for number in range(count)],
        }
    )


@pytest.fixture
def package(tmp_path: Path, project: Project) -> Package:
    """A version that scores the project's features."""
    contract = project.contract(MODEL)
    known = facts(MODEL, contract.feature_names, contract_hash=contract.hash.hex())
    write_logistic_package(tmp_path / "package", facts=known, weights=[0.01, 0.2, -0.03, 0.05])
    return read_folder(tmp_path / "package")


@pytest.fixture
def make_package(tmp_path: Path) -> MakePackage:
    """Makes a version that scores three given features, f0 to f2."""

    def make(*, weight: float = 0.5, name: str = "given") -> Package:
        known = facts(MODEL, [f"f{at}" for at in range(FEATURES)], contract_hash="0" * 64)
        write_logistic_package(tmp_path / name, facts=known, weights=[weight] * FEATURES)
        return read_folder(tmp_path / name)

    return make


def vectors(count: int, seed: int = 2) -> pa.Table:
    """Rows that hold the three features."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {f"f{at}": rng.normal(size=count).astype(np.float32) for at in range(FEATURES)}
    return pa.table(columns | {"request_key": [f"k{number}" for number in range(count)]})
