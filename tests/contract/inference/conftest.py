"""Puts the kit, a project and the planes under test, where tests and `load_project` find it."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from local_stack import LocalStack

sys.path.insert(0, str(Path(__file__).parent / "kit"))

from inference_kit.memory import memory_plane
from inference_kit.process import process_plane

if TYPE_CHECKING:
    from inference_kit.planes import DataPlane


@pytest.fixture(scope="module")
async def memory(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator["DataPlane"]:
    async with memory_plane(tmp_path_factory.mktemp("memory-plane")) as plane:
        yield plane


@pytest.fixture(scope="module")
async def process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator["DataPlane"]:
    folder = tmp_path_factory.mktemp("process-plane")
    async with LocalStack(folder / "stack") as stack, process_plane(folder, stack) as plane:
        yield plane


@pytest.fixture(params=["memory", pytest.param("process", marks=pytest.mark.stack)])
def plane(request: pytest.FixtureRequest) -> "DataPlane":
    found: DataPlane = request.getfixturevalue(request.param)
    return found
