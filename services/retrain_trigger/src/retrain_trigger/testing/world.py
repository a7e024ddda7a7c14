"""A trigger on topics in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bus.dead_letters import DeadLetter, Undertaker, exhume
from bus.memory import MemoryLog, MemoryPublisher
from bus.metrics import ConsumerMetrics
from bus.records import outgoing
from bus.topics import CATALOGUE, dead_letter_of
from prometheus_client import CollectorRegistry

from retrain_trigger.adapters.memory import MemoryStates
from retrain_trigger.adapters.reading import readers
from retrain_trigger.adapters.telling import SOURCE, addressing
from retrain_trigger.handlers import Trigger
from retrain_trigger.intake import Intake
from retrain_trigger.metrics import Metrics
from retrain_trigger.testing.facts import TOPICS, topic_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.events import Event
    from bus.memory import MemoryRecord

    from retrain_trigger.domain.rules import Rules


@dataclass
class World:
    """A trigger on topics in memory.

    Attributes:
        publisher: Tests give one that fails.
    """

    rules: Mapping[str, Rules]
    log: MemoryLog = field(default_factory=MemoryLog)
    states: MemoryStates = field(default_factory=MemoryStates)
    publisher: MemoryPublisher | None = None

    def intake(self) -> Intake:
        """Start a process: it knows what is kept, and nothing else."""
        publisher, registry = self.publisher or MemoryPublisher(self.log), CollectorRegistry()
        trigger = Trigger(
            rules=self.rules,
            states=self.states,
            publish=publisher,
            address=addressing(TOPICS),
            told=Metrics(registry).told,
        )
        return Intake(
            group="g",
            readers=readers(TOPICS),
            on_fact=trigger.on_fact,
            publisher=publisher,
            undertaker=Undertaker(SOURCE, "test"),
            progressed=TOPICS.progressed,
            metrics=ConsumerMetrics("g", registry),
            clock=lambda: 0,
        )

    async def tell(self, *events: Event) -> None:
        """Say something, and have it taken in."""
        intake = self.intake()
        for event in events:
            await intake.take(self.write(event))

    def write(self, event: Event) -> MemoryRecord:
        """Put an event on its topic."""
        return self._last(self.log.append(topic_of(event), outgoing(event)))

    def said(self, topic: str) -> list[Any]:
        """Read what a topic says, each event once, in the order of their first telling."""
        found = {event.id: event for event in self.log.events(topic)}
        kinds = {one.name: one.message for one in CATALOGUE}
        kind = kinds[topic]
        assert kind is not None
        return [kind.FromString(event.data) for event in found.values()]

    def letters(self, topic: str) -> list[DeadLetter]:
        """Read the dead letters of a topic."""
        twin = dead_letter_of(topic)
        return [exhume(record) for where in self.log.partitions_in(twin) for record in self.log.read(where)]

    def _last(self, position: Any) -> MemoryRecord:
        return self.log.read(position.topic_partition, position.offset)[0]
