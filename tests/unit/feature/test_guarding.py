"""When events wait for rows that were lost."""

from __future__ import annotations

import pytest
import structlog
from bus.errors import Unavailable
from feature.guarding import Guard, RowsNotWhole
from feature.metrics import Metrics
from feature_store.online.epochs import FRESH, MemoryEpochs, held
from prometheus_client import CollectorRegistry


class Scene:
    """A guard, and what it is told of the outside."""

    def __init__(self, *, committed: bool) -> None:
        self.epochs = MemoryEpochs()
        self.registry = CollectorRegistry()
        self.committed: bool | None = committed
        self.forgotten = 0
        self.topics_shortened: list[str] = []
        self.guard = Guard(self.epochs, self, self._forget, Metrics(self.registry), structlog.get_logger())

    async def has_committed(self) -> bool:
        if self.committed is None:
            raise Unavailable("Kafka is away")
        return self.committed

    async def shortened(self) -> list[str]:
        return self.topics_shortened

    def _forget(self) -> None:
        self.forgotten += 1

    @property
    def lost(self) -> float | None:
        return self.registry.get_sample_value("tidemark_feature_rows_lost")


async def test_a_new_store_is_marked_and_whole() -> None:
    scene = Scene(committed=False)
    await scene.guard.check()
    assert scene.epochs.markers == [FRESH, FRESH]
    assert (scene.guard.not_whole_because, scene.lost, scene.forgotten) == (None, 0.0, 0)


async def test_an_unmarked_store_of_a_group_that_committed_has_lost_its_rows() -> None:
    scene = Scene(committed=True)
    with pytest.raises(RowsNotWhole, match=r"feature rows were lost.*run `tidemark features backfill`"):
        await scene.guard.check()
    assert scene.lost == 1.0


async def test_new_rows_of_topics_that_lack_their_first_events_wait_for_a_backfill() -> None:
    scene = Scene(committed=False)
    scene.topics_shortened = ["rides", "trips"]
    with pytest.raises(RowsNotWhole, match=r"rides, trips begins later.*run `tidemark features backfill`"):
        await scene.guard.check()
    assert scene.epochs.markers == [None, None]
    assert not scene.guard.is_whole
    await scene.epochs.write(b"run@1")
    await scene.guard.check()
    assert scene.guard.is_whole


async def test_a_flush_before_the_first_commit_is_noticed_too() -> None:
    scene = Scene(committed=False)
    await scene.guard.check()
    scene.epochs.markers = [None, None]
    with pytest.raises(RowsNotWhole):
        await scene.guard.check()
    assert scene.epochs.markers == [None, None]


async def test_while_kafka_is_away_an_unmarked_store_is_not_judged() -> None:
    scene = Scene(committed=False)
    scene.committed = None
    with pytest.raises(Unavailable, match="Kafka is away"):
        await scene.guard.check()
    assert scene.lost == 0.0


async def test_after_a_backfill_what_was_cached_is_dropped_once() -> None:
    scene = Scene(committed=False)
    await scene.guard.check()
    await scene.epochs.write(held("run"))
    with pytest.raises(RowsNotWhole, match="a backfill is making"):
        await scene.guard.check()
    assert scene.lost == 0.0
    await scene.epochs.write(b"run@1")
    await scene.guard.check()
    await scene.guard.check()
    assert (scene.forgotten, scene.guard.not_whole_because) == (1, None)


async def test_evictions_count_as_losses_for_every_process() -> None:
    scene = Scene(committed=False)
    scene.epochs.evictions = 7
    await scene.guard.beat()  # what was evicted before it looked is nobody's row
    assert scene.guard.not_whole_because is None
    scene.epochs.evictions = 9
    await scene.guard.beat()
    await scene.guard.beat()
    assert "Redis evicted 2 keys" in (scene.guard.not_whole_because or "")
    assert scene.lost == 1.0
