"""Which planes the suite is put to: ours, or the one that TIDEMARK_PLANE names (docs/data-plane.md)."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from local_stack import LocalStack

from inference_kit.memory import memory_plane
from inference_kit.planes import DataPlane
from inference_kit.process import FOREIGN, process_plane

StartPlane = Callable[..., AbstractAsyncContextManager[DataPlane]]

PROCESS = pytest.param("process", marks=pytest.mark.stack)
KINDS = [PROCESS] if FOREIGN else ["memory", PROCESS]
QUICKEST = KINDS[:1]
"""For tests that need a plane of their own, and learn nothing from a second kind."""


@asynccontextmanager
async def start(kind: str, folder: Path, **settings: Any) -> AsyncIterator[DataPlane]:
    """Start a plane; `settings` as `InferenceSettings` names them, and `project`."""
    if kind == "memory":
        async with memory_plane(folder, **settings) as plane:
            yield plane
        return
    project = {"project": settings.pop("project")} if "project" in settings else {}
    told = {name.upper(): str(value) for name, value in settings.items()}
    async with (
        LocalStack(folder / "stack") as stack,
        process_plane(folder, stack, **project, **told) as other,
    ):
        yield other
