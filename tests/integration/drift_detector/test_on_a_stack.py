"""A detector of flights on a real Kafka and a real Valkey."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bus.dead_letters import read_dead_letters
from bus.events import Event
from drift_detector.testing import TOPICS
from drift_detector.testing_stack import Stage, flights, packaged, undisturbed, watched_flights

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from local_stack import LocalStack

_ROOT = Path(__file__).parents[3]


@pytest.mark.stack
async def test_requests_become_measurements_and_alerts_and_what_is_none_a_dead_letter(
    own_stack: Callable[..., Awaitable[LocalStack]], tmp_path: Path
) -> None:
    package = packaged(tmp_path)
    facts = flights(package.version, 15, 150)
    expected = await undisturbed(facts, package, watched_flights())
    async with Stage(await own_stack(), tmp_path) as stage:
        await stage.route(package)
        for topic in TOPICS.inputs:
            await stage.tell(topic, Event("broken", "t", "s", "", 1, 1, b"k", b"\xff\xff"))
        detector = await stage.start()
        await stage.publish(facts)
        await stage.measured_up_to_here()
        await stage.until(lambda: len(stage.seen.measured) >= len(expected.measured))
        await stage.until(lambda: len(stage.seen.alerts) >= len(expected.alerts))
        assert sorted(map(repr, stage.seen.measured)) == sorted(map(repr, expected.measured))
        assert stage.seen.alerts == expected.alerts
        assert {one.monitor for one in expected.measured} >= {"input-drift", "quality", "error-stream"}
        for topic in TOPICS.inputs:
            (letter,) = await read_dead_letters(stage.bootstrap, topic)
            assert letter.reason == "MALFORMED_PAYLOAD"
        detector.terminate()
        assert await detector.wait() == 0


async def test_a_monitor_on_an_unknown_feature_ends_it_with_one_line(tmp_path: Path) -> None:
    line = 'FeatureDrift("drift", model="flight-delay", features=["origin_departures.nope"])'
    project = tmp_path / "odd_flights"
    project.mkdir()
    (project / "__init__.py").touch()
    (project / "model.py").write_text(
        "from examples.flights.model import *\nfrom examples.flights.features import *\n"
    )
    (project / "monitors.py").write_text(f"from monitoring.monitors import *\nwatched = {line}\n")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{_ROOT}:{tmp_path}",
        "TIDEMARK_PROJECT": "odd_flights",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "REDIS_URL": "redis://127.0.0.1:1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "drift_detector", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    (only,) = said.decode().strip().splitlines()
    assert "has no feature 'origin_departures.nope'" in only
    assert "monitors.py:2" in only
