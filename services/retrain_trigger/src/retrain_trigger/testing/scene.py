"""The trigger as a process on a real Kafka, and what it says there."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from bus.dead_letters import read_dead_letters
from bus.inspect import tail
from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, ensure_topics
from bus.tracker import ProgressTracker

from retrain_trigger.testing.facts import TOPICS, topic_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bus.dead_letters import DeadLetter
    from bus.events import Event
    from bus.positions import TopicPartition

_SECONDS = 150.0


@dataclass
class Scene:
    """A group of the test's own, and what the topics say.

    Attributes:
        folder: Where the processes' output goes.
        projects: Where their projects are.
        events: By topic and id.
    """

    bootstrap: str
    folder: Path
    projects: Path
    group: str = field(default_factory=lambda: f"g{uuid.uuid4().hex[:8]}")
    events: dict[str, dict[str, Event]] = field(default_factory=lambda: defaultdict(dict))
    contradictions: list[tuple[Event, Event]] = field(default_factory=list)
    started: list[asyncio.subprocess.Process] = field(default_factory=list)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)
    _readers: list[asyncio.Future[None]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        await ensure_topics(self.bootstrap, CATALOGUE)
        outputs = (TOPICS.requested, TOPICS.approved, TOPICS.refused, TOPICS.alerts)
        self._readers = [asyncio.ensure_future(self._read(topic)) for topic in outputs]
        return self

    async def __aexit__(self, *_: object) -> None:
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for process in self.started:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def start(
        self, project: str = "late_project", *, piped: bool = False, **environment: str
    ) -> asyncio.subprocess.Process:
        """Start a process; its output is in `log`, or to be read from its `stdout`."""
        usual = {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "TIDEMARK_PROJECT": project,
            "TRIGGER_GROUP": self.group,
            "PYTHONPATH": str(self.projects),
        }
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "retrain_trigger"),
                env=usual | environment,
                stdout=asyncio.subprocess.PIPE if piped else log,
                stderr=asyncio.subprocess.STDOUT if piped else log,
            )
        self.started.append(process)
        return process

    @property
    def log(self) -> Path:
        """What the processes have printed."""
        return self.folder / "trigger.log"

    async def say(self, *events: Event) -> None:
        """Publish, in order, and return when the group has taken it all in."""
        targets = await self.publish(*events)
        async with ProgressTracker(self.bootstrap) as tracker:
            await tracker.reached(self.group, targets, _SECONDS)

    async def publish(self, *events: Event) -> dict[TopicPartition, int]:
        """Publish, in order; return how far that reaches."""
        targets: dict[TopicPartition, int] = {}
        async with KafkaPublisher(self.bootstrap, client_id="facts") as publisher:
            for event in events:
                (position,) = await publisher.publish_all(topic_of(event), [event])
                targets[position.topic_partition] = position.offset + 1
        return targets

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when what is said makes it true; nothing may be said in two ways under one id."""
        async with asyncio.timeout(_SECONDS), self._moved:
            await self._moved.wait_for(lambda: self.contradictions or condition())
        assert not self.contradictions

    async def letters(self, topic: str, model: str) -> list[DeadLetter]:
        """Read the model's dead letters, the newest first."""
        found = await read_dead_letters(self.bootstrap, topic)
        return [letter for letter in found if letter.key == model.encode()]

    async def _read(self, topic: str) -> None:
        async for found in tail(self.bootstrap, topic, from_beginning=True):
            assert found.event is not None
            async with self._moved:
                first = self.events[topic].setdefault(found.event.id, found.event)
                if first != found.event:
                    self.contradictions.append((first, found.event))
                self._moved.notify_all()
