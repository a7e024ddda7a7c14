"""The shop's project and its world, the trainer's own."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from feature_store import Project, decode_events, load_project
from training_sets.memory import MemoryEvents

VISITS = 200


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "trainer"))
    monkeypatch.delitem(sys.modules, "shop_project", raising=False)
    return importlib.import_module("shop_project")


@pytest.fixture
def project(shop: Any) -> Project:
    return load_project(shop.__name__)


@pytest.fixture
def make_lake(shop: Any, project: Project) -> Callable[..., MemoryEvents]:
    """Builds the lake of a world with so many visits; a longer world begins as a shorter one does."""

    def make(visits: int = VISITS) -> MemoryEvents:
        batches = {}
        for topic, told in shop.world(visits).items():
            source = project.sources[topic]
            batches[topic], rejects = decode_events(source, shop.incoming(source, told, 0))
            assert rejects == []
        return MemoryEvents(batches, version=visits)

    return make
