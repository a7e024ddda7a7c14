"""Puts the kit, with its project, where tests and commands find it."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from local_stack import LocalStack

KIT = Path(__file__).parent / "kit"
sys.path.insert(0, str(KIT))

from privacy_kit import Deployment, deployed  # noqa: E402 - the path is set above


@pytest.fixture(scope="session")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    """One for all of these tests: each has customers of its own."""
    async with (
        LocalStack(tmp_path_factory.mktemp("stack")) as stack,
        deployed(stack, tmp_path_factory.mktemp("deployment")) as found,
    ):
        yield found
