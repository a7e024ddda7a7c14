"""A scene on the broker that tests share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from retrain_trigger.testing.scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def scene(kafka_bootstrap: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with Scene(kafka_bootstrap, tmp_path, Path(__file__).parent) as scene:
        yield scene
