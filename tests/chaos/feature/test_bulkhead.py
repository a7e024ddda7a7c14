"""One producer sends garbage at full speed; the other source's features stay fresh, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from bus.dead_letters import walk_dead_letters
from bus.events import Event
from bus.producer import KafkaPublisher
from bus.progress import targets_of
from bus.records import OutgoingRecord
from bus.topics import ensure_topics
from bus.tracker import ProgressTracker
from feature.__main__ import topics_of
from feature_store import load_project
from feature_store.online.keepers import feature_group

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from local_stack import LocalStack

pytestmark = pytest.mark.stack

FOLDER = Path(__file__).parent
SOUND, BROKEN = "sound.v1", "broken.v1"
AT_US = 1_365_000_000_000_000
QUESTIONS = 60
FLOOD = 30_000
NO_ENVELOPE = 1_000
HUGE_BYTES = 300_000
EXPECTED = Counter(
    MALFORMED_PAYLOAD=FLOOD // 5,
    WRONG_TYPE=FLOOD // 5,
    FUTURE_EVENT=FLOOD // 5,
    MISSING_FIELD=FLOOD // 5 - FLOOD // 1_000,
    OVERSIZE=FLOOD // 1_000,
    MALFORMED_ENVELOPE=NO_ENVELOPE,
)


@dataclass
class Rig:
    """`feature` under two producers, watched by its progress."""

    stack: LocalStack
    folder: Path
    publisher: KafkaPublisher
    tracker: ProgressTracker
    group: str
    process: asyncio.subprocess.Process | None = None
    told: int = 0

    async def start(self) -> None:
        """Start `python -m feature`, with the defaults that it has in production."""
        environment = {
            "PYTHONPATH": str(FOLDER),
            "TIDEMARK_PROJECT": "bulkhead_project",
            "KAFKA_BOOTSTRAP_SERVERS": self.stack.kafka_bootstrap,
            "REDIS_URL": self.stack.redis_url,
        }
        with (self.folder / "feature.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "feature", env=environment, stdout=log, stderr=log
            )

    async def stop(self) -> None:
        """Stop it; what it has in hand is finished."""
        assert self.process is not None
        self.process.terminate()
        assert await self.process.wait() == 0

    async def one_ms(self) -> float:
        """Publish a sound event; return how long it took to become readable, in milliseconds."""
        self.told += 1
        began = time.perf_counter()
        positions = await self.publisher.publish_all(SOUND, [event(self.told)])
        await self.tracker.reached(self.group, targets_of(positions), timeout_s=60)
        return (time.perf_counter() - began) * 1e3

    def flood_done(self) -> int:
        """Return how many of the flood's records have been dealt with."""
        marks = self.tracker.marks(self.group).items()
        return sum(mark.next_offset for where, mark in marks if where.topic == BROKEN)

    async def flood(self) -> None:
        """Publish every kind of garbage, many times over."""
        for first in range(0, FLOOD, 10_000):
            await self.publisher.publish_all(BROKEN, [garbage(first + i) for i in range(10_000)])
        await self.publisher.publish_records(BROKEN, [OutgoingRecord(b"k", b"no envelope", [])] * NO_ENVELOPE)


def event(number: int, **changes: object) -> Event:
    at_us = AT_US + number * 1_000_000
    payload = {"place": f"p{number % 5}", "value": number, "at": f"{np.datetime64(at_us, 'us')}Z", **changes}
    data = json.dumps(payload).encode()
    return Event(f"e{number}", "reading", "sensors", "", at_us, at_us, f"p{number % 5}".encode(), data)


def garbage(number: int) -> Event:
    sound = event(number)
    match number % 5:
        case 0:
            return _with(sound, b"\xff\x00 not json")
        case 1:
            return event(number, value="a text now")  # the schema changed under us
        case 2:
            return event(number, at="2999-01-01T00:00:00Z")
        case 3:
            return event(3)  # the same for ever
        case _:
            return _with(sound, b"x" * HUGE_BYTES) if number % 1_000 == 4 else event(number, place="")


def _with(one: Event, data: bytes) -> Event:
    return Event(one.id, one.type, one.source, "", one.time_us, one.recorded_time_us, one.key, data)


@pytest.fixture
async def rig(
    own_stack: Callable[..., Awaitable[LocalStack]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Rig]:
    monkeypatch.syspath_prepend(str(FOLDER))
    stack = await own_stack()
    project = load_project("bulkhead_project")
    await ensure_topics(stack.kafka_bootstrap, topics_of(project))
    async with (
        KafkaPublisher(stack.kafka_bootstrap, client_id="producers") as publisher,
        ProgressTracker(stack.kafka_bootstrap) as tracker,
    ):
        rig = Rig(stack, tmp_path, publisher, tracker, feature_group(project))
        await rig.start()
        yield rig
        await rig.stop()


async def test_a_flood_of_garbage_in_one_source_delays_the_other_by_a_bounded_factor(rig: Rig) -> None:
    for _ in range(QUESTIONS):  # joined and warm
        await rig.one_ms()
    quiet_ms = [await rig.one_ms() for _ in range(QUESTIONS)]
    await rig.stop()
    await rig.flood()
    await rig.start()
    await rig.one_ms()
    flooded_ms = []
    while rig.flood_done() < FLOOD:
        flooded_ms.append(await rig.one_ms())
    quiet, flooded = (float(np.percentile(one, 90)) for one in (quiet_ms, flooded_ms))
    # Where topics did not take turns, this was 2.7 s; busy machines need the room.
    assert len(flooded_ms) >= 20, "the flood was over too soon to say anything"
    assert flooded < 10 * max(quiet, 20.0), f"{flooded:.0f} ms beside a flood, {quiet:.0f} ms without"
    while rig.flood_done() < FLOOD + NO_ENVELOPE:
        await rig.one_ms()
    assert await quarantined(rig) == EXPECTED


async def quarantined(rig: Rig) -> Counter[str]:
    """Count the originals that were refused, by reason."""
    reasons = {
        letter.original: letter.reason
        async for letter in walk_dead_letters(rig.stack.kafka_bootstrap, BROKEN)
    }
    return Counter(reasons.values())
