"""History to count: some days of requests and their outcomes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import pytest
from bus.positions import TopicPartition
from bus.received import Received
from drift_detector.testing import TOPICS, prediction, resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class History:
    """Requests and outcomes, in the order in which they became known.

    Attributes:
        partitions: Of each topic.
    """

    facts: list[Received]
    partitions: int
    ends: Mapping[TopicPartition, int] = field(init=False)
    by_partition: Mapping[TopicPartition, list[Received]] = field(init=False)

    def __post_init__(self) -> None:
        logs: dict[TopicPartition, list[Received]] = defaultdict(list)
        for fact in self.facts:
            where = TopicPartition(fact.topic, crc32(fact.event.key) % self.partitions)
            logs[where].append(Received(fact.topic, where.partition, len(logs[where]), fact.event))
        object.__setattr__(self, "by_partition", dict(logs))
        object.__setattr__(self, "ends", {where: len(found) for where, found in logs.items()})

    def labels_up_to(self, boundary_us: int, read: Mapping[TopicPartition, int]) -> int:
        """Return `boundary_us` if all outcomes known by then are read, else 0."""
        for where, found in self.by_partition.items():
            unread = found[read.get(where, 0) :] if where.topic == TOPICS.resolved else []
            if any(one.event.recorded_time_us < boundary_us for one in unread):
                return 0
        return boundary_us


def make_history(days: int = 9, a_day: int = 60, *, partitions: int = 1, drift_from: int = 4) -> History:
    """A model that is as good as on its holdout, until the wind turns and it is not."""
    generator = np.random.default_rng(11)
    facts: list[tuple[float, Received]] = []
    for number, hours in enumerate(np.sort(generator.uniform(0, 24 * days, days * a_day))):
        score = float(generator.random())
        values = generator.normal(size=3) + np.array((3.0 * (hours >= 24 * drift_from), 0, 0))
        truth = float(generator.random() < (score if hours < 24 * drift_from else 0.5))
        known, key = hours + float(generator.uniform(1, 40)), f"k{number}"
        facts += [
            (hours, prediction(key, hours=hours, values=values, score=score)),
            (known, resolved(key, truth, hours=hours, known_hours=known, score=score)),
        ]
        if number % 50 == 0:
            later = known + 30
            facts.append(
                (later, resolved(key, 1 - truth, hours=hours, known_hours=later, score=score, revision=1))
            )
    facts.sort(key=lambda one: one[0])
    return History([fact for _, fact in facts], partitions)


@pytest.fixture(scope="session")
def history_in() -> Callable[[int], History]:
    """The same history in so many partitions."""
    made = {count: make_history(partitions=count) for count in (1, 2, 3)}
    return made.__getitem__
