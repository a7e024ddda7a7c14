"""The process on a real Kafka: asks, hears, remembers, stops."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import pytest
from retrain_trigger.testing.facts import TOPICS, Said
from tidemark.retraining.v1.retrain_pb2 import RetrainApproved

if TYPE_CHECKING:
    import asyncio

    from bus.events import Event
    from retrain_trigger.testing.scene import Scene

pytestmark = pytest.mark.stack


def beginning(said: Said) -> list[Event]:
    return [said.registered("first", 0), said.routed("first", 1), said.labels(7), said.labels(14)]


def drifted(said: Said, *days: int) -> list[Event]:
    return [said.measured("input-drift", number, breached=True) for number in days]


async def test_asked_and_approved_with_its_state_kept_over_a_restart(scene: Scene) -> None:
    said = Said("restarted")
    request = "restarted:persistent-drift:1970-01-22T00:00:00Z"
    first = await scene.start()
    await scene.say(*beginning(said), *drifted(said, 14))
    await _ends_well(first)
    second = await scene.start()
    await scene.say(*drifted(said, 21))
    await scene.until(lambda: request in scene.events[TOPICS.requested])
    await scene.say(said.decided(request, "a1"), said.decided(request, "a2"))
    await scene.until(lambda: f"{request}:approved" in scene.events[TOPICS.approved])
    approved = RetrainApproved.FromString(scene.events[TOPICS.approved][f"{request}:approved"].data)
    assert (approved.algorithm, approved.approved_by) == ("trees", "ada")
    (letter,) = await scene.letters(TOPICS.decided, "restarted")
    assert (letter.reason, letter.service) == ("ALREADY_DECIDED", "retrain_trigger")
    await _ends_well(second)


async def test_malformed_events_are_dead_letters_and_the_next_is_heard_at_once(scene: Scene) -> None:
    said = Said("malformed")
    await scene.start()
    await scene.say(*beginning(said), replace(said.routed("x", 9), data=b"\xff\xff"), *drifted(said, 14))
    assert [letter.reason for letter in await scene.letters(TOPICS.routes, "malformed")] == [
        "MALFORMED_PAYLOAD"
    ]
    started = time.monotonic()
    await scene.publish(*drifted(said, 21))
    await scene.until(lambda: any("malformed" in name for name in scene.events[TOPICS.requested]))
    # Some ten milliseconds on a quiet machine; a poll or a batch that waits would take a second.
    assert time.monotonic() - started < 1.0


async def test_it_answers_probes_as_every_service_does(scene: Scene) -> None:
    await scene.start()
    await scene.say(*beginning(Said("asked")))
    port = re.findall(r'"metrics_port": (\d+)', scene.log.read_text())[0]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        async with client.get("/readyz") as ready:
            assert (ready.status, await ready.json()) == (200, {"ready": True, "reasons": {}})
        async with client.get("/metrics") as metrics:
            shown = await metrics.text()
    assert f'tidemark_consumer_records_total{{group="{scene.group}"' in shown


async def test_a_policy_that_makes_no_sense_is_one_line_and_status_1(scene: Scene) -> None:
    process = await scene.start("unknown_monitor_project")
    assert await process.wait() == 1
    (line,) = scene.log.read_text().splitlines()
    assert re.search(r"unknown_monitor_project\.py:\d+: PersistentDrift\('lost'\): model 'asked' has ", line)
    assert line.endswith("no monitor 'input-drfit'. Did you mean 'input-drift'?")


async def test_without_a_broker_it_waits_and_stops_when_told(scene: Scene) -> None:
    process = await scene.start(piped=True, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert process.stdout is not None
    while b"beginning anew" not in await process.stdout.readline():
        assert not process.stdout.at_eof()
    await _ends_well(process)


async def _ends_well(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    assert await process.wait() == 0
