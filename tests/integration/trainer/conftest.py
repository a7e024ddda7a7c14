"""The shop's project, and its lake as the archiver writes it."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archiver.adapters.delta import DeltaLake
from archiver.adapters.sources import SourceKeeper
from bus.events import Event
from bus.received import Received
from feature_store import load_project

PROJECT_FOLDER = Path(__file__).parents[2] / "unit" / "trainer"


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(PROJECT_FOLDER))
    return importlib.import_module("shop_project")


@pytest.fixture
def archive(shop: Any, tmp_path: Path) -> Callable[..., None]:
    """Puts facts into the lake at `tmp_path / "lake"`, as the archiver does."""
    lake = DeltaLake(str(tmp_path / "lake"))
    reached: dict[tuple[str, int], int] = {}

    def put(facts: dict[str, list[dict[str, Any]]]) -> None:
        for topic, source in load_project("shop_project").sources.items():
            keeper, records = SourceKeeper(source), []
            told = shop.incoming(source, facts.get(topic, []))
            for number, value in enumerate(told.values):
                where = (topic, told.partitions[number])
                offset = reached[where] = reached.get(where, -1) + 1
                times_us = told.event_time_us[number], told.recorded_time_us[number]
                event = Event(
                    f"{topic}-{where}-{offset}", "fact", "shop", "", *times_us, told.keys[number], value
                )
                records.append(Received(*where, offset, event))
            lake.prepare(keeper.table)
            lake.append(
                keeper.table, keeper.keep(records).rows, {p: reached.get((topic, p), -1) + 1 for p in (0, 1)}
            )

    return put
