"""Puts the kit, with its project, where tests and commands find it."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from local_stack import LocalStack

KIT = Path(__file__).parent / "kit"
sys.path.insert(0, str(KIT))

from privacy_kit import Deployment, deployed  # noqa: E402 - the path is set above


@pytest.fixture
async def deployment(
    own_stack: Callable[..., Awaitable[LocalStack]], tmp_path: Path
) -> AsyncIterator[Deployment]:
    """A deployment of one test."""
    async with deployed(await own_stack(), tmp_path) as found:
        yield found
