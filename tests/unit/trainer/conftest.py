"""The shop's project and its world, as the trainer meets them."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from feature_store import Project, decode_events, load_project
from trainer.fitting import choose_algorithm
from trainer.ports import Provenance
from trainer.steps import Training
from training_sets import find_model
from training_sets.examples import Period
from training_sets.memory import MemoryEvents

HOUR_US = 3_600_000_000
START_US = 1_356_998_400_000_000
VISITS = 400
PROVENANCE = Provenance("c" * 40, "e" * 64)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The project's module."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("shop_project")


@pytest.fixture
def project(shop: Any) -> Project:
    return load_project(shop.__name__)


@pytest.fixture
def make_lake(shop: Any, project: Project) -> Callable[..., MemoryEvents]:
    """Builds the lake of some facts by topic; of the whole world when none are given."""

    def make(
        facts: dict[str, list[dict[str, Any]]] | None = None, *, lag_us: int = 0, version: int = 1
    ) -> MemoryEvents:
        batches = {}
        for topic, told in (facts or shop.world(VISITS)).items():
            source = project.sources[topic]
            batches[topic], rejects = decode_events(source, shop.incoming(source, told, lag_us))
            assert rejects == []
        return MemoryEvents(batches, version)

    return make


@pytest.fixture
def make_training(project: Project) -> Callable[..., Training]:
    def make(
        algorithm: str | None = None,
        seed: int | None = None,
        until_us: int = START_US + VISITS * HOUR_US,
        model: str = "shop-purchase",
    ) -> Training:
        spec = find_model(project, model)
        chosen = choose_algorithm(spec, algorithm, seed)
        return Training(project, spec, Period(None, until_us), chosen, PROVENANCE)

    return make
