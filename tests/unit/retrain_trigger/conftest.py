"""A model with a champion, and policies that look at it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from monitoring.monitors import DataQuality, FeatureDrift, Performance
from monitoring.policies import PersistentDrift
from retrain_trigger.domain.rules import Rules
from retrain_trigger.testing.facts import Said
from retrain_trigger.testing.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring.policies import Policy

MODEL = "late"
DAY = timedelta(days=1)
MONITORS = (
    DataQuality("input-quality", model=MODEL, missing=0.1),
    FeatureDrift("input-drift", model=MODEL, window=7 * DAY, psi=0.25),
    Performance("quality", model=MODEL, window=7 * DAY, metric="roc_auc"),
)


@pytest.fixture
def said() -> Said:
    return Said(MODEL)


@pytest.fixture
def drift() -> Callable[..., PersistentDrift]:
    """Two breached windows in a row ask; a month's rest, a week to decide, a week's veto."""

    def make(**given: Any) -> PersistentDrift:
        usual: dict[str, Any] = {
            "monitor": "input-drift",
            "windows": 2,
            "cooldown": 28 * DAY,
            "expires_after": 7 * DAY,
            "veto_within": 7 * DAY,
            "least_label_coverage": 0.9,
        }
        return PersistentDrift("persistent-drift", model=MODEL, **(usual | given))

    return make


@pytest.fixture
async def world_of(said: Said) -> Callable[..., Any]:
    """A world whose champion, `first`, was trained until day 0, and whose labels are known up to day 7."""

    async def make(*policies: Policy) -> World:
        world = World({MODEL: Rules.of(MODEL, policies, MONITORS)})
        await world.tell(said.registered("first", 0), said.routed("first", 1), said.labels(7))
        return world

    return make
