"""Puts the kit, a project and the planes under test, where tests and `load_project` find it."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "kit"))

from inference_kit.starting import KINDS, QUICKEST, start

if TYPE_CHECKING:
    from inference_kit.planes import DataPlane
    from inference_kit.starting import StartPlane


@pytest.fixture(scope="session")
def start_plane(tmp_path_factory: pytest.TempPathFactory) -> "StartPlane":
    """Start planes, each in a folder of its own."""
    return lambda kind, **settings: start(kind, tmp_path_factory.mktemp(f"{kind}-plane"), **settings)


@pytest.fixture(scope="module", params=KINDS)
async def plane(request: pytest.FixtureRequest, start_plane: "StartPlane") -> AsyncIterator["DataPlane"]:
    """A plane that the tests of a module share."""
    async with start_plane(request.param) as started:
        yield started


@pytest.fixture(params=QUICKEST)
def start_one(request: pytest.FixtureRequest, start_plane: "StartPlane") -> Any:
    """Starts a plane for one test alone."""
    return lambda **settings: start_plane(request.param, **settings)
