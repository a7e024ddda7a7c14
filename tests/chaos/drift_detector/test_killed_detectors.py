"""kill -9 of detectors and of their store while facts come in changes nothing they tell."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from drift_detector.testing_stack import Stage, flights, packaged, undisturbed, watched_flights

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from drift_detector.testing import Scene
    from local_stack import LocalStack

pytestmark = pytest.mark.stack

_DAYS, _A_DAY = 22, 120


@pytest.fixture
async def stack(own_stack: Callable[..., Awaitable[LocalStack]]) -> LocalStack:
    return await own_stack()


@pytest.fixture
async def stage(stack: LocalStack, tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(stack, tmp_path) as stage:
        yield stage


def _told(scene: Scene) -> dict[tuple[str, int, int], bytes]:
    return {
        (one.monitor, one.window_start.seconds, one.revision): one.SerializeToString(deterministic=True)
        for one in scene.measured
    }


def _alerts(scene: Scene) -> dict[tuple[str, int, int], bytes]:
    return {
        (one.fingerprint, one.episode, one.revision): one.SerializeToString(deterministic=True)
        for one in scene.alerts
    }


async def test_killed_detectors_and_a_killed_store_tell_what_one_quiet_run_tells(
    stack: LocalStack, stage: Stage, tmp_path: Path
) -> None:
    package = packaged(tmp_path)
    facts = flights(package.version, _DAYS, _A_DAY)
    expected = await undisturbed(facts, package, watched_flights())
    assert len(_alerts(expected)) >= 2
    await stage.route(package)
    running = [await stage.start(), await stage.start()]
    publishing = asyncio.ensure_future(stage.publish(facts))
    for told in (3, 9):
        await stage.until(lambda told=told: len(stage.seen.of("input-quality")) >= told)  # type: ignore[misc]
        victim = running.pop(0)
        victim.kill()
        await victim.wait()
        running.append(await stage.start())
    (valkey,) = stack.valkey.nodes
    valkey.kill()
    await publishing
    await valkey.start()
    await stage.measured_up_to_here(120)
    await stage.until(lambda: len(_told(stage.seen)) >= len(_told(expected)))
    await stage.until(lambda: len(_alerts(stage.seen)) >= len(_alerts(expected)))
    assert _told(stage.seen) == _told(expected)
    assert _alerts(stage.seen) == _alerts(expected)
    running[0].terminate()
    assert await running[0].wait() == 0
