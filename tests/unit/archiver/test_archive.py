"""A batch is in the lake when its handler returns."""

import asyncio
from collections.abc import Collection, Mapping

import pyarrow as pa
import pytest
from archiver.adapters.memory import MemoryLake
from archiver.adapters.platform import PlatformKeeper
from archiver.domain.tables import LakeTable, SchemaError
from archiver.fitting import fitting
from archiver.handlers import Archive
from archiver.metrics import Metrics
from archiver.ports import LakeUnavailable, TableRewound
from bus.errors import Unavailable
from bus.events import Event
from bus.positions import TopicPartition
from bus.received import Received
from bus.topics import OUTCOMES_OBSERVED, ROUTES_CHANGED
from prometheus_client import CollectorRegistry
from tidemark.outcomes.v1.outcome_pb2 import OutcomeObserved

KEEPERS = [PlatformKeeper(OUTCOMES_OBSERVED), PlatformKeeper(ROUTES_CHANGED)]


class FailingLake(MemoryLake):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def append(self, table: LakeTable, rows: pa.Table, reached: Mapping[int, int]) -> int:
        del table, rows, reached
        raise self._error

    def resume_from(self, table: LakeTable, partitions: Collection[int]) -> Mapping[int, int]:
        del table, partitions
        raise self._error


def archive(lake: MemoryLake, registry: CollectorRegistry | None = None) -> Archive:
    for keeper in KEEPERS:
        lake.prepare(keeper.table)
    return Archive(lake, KEEPERS, Metrics(registry or CollectorRegistry()), asyncio.Event())


def outcome(offset: int, data: bytes | None = None, topic: str = OUTCOMES_OBSERVED.name) -> Received:
    message = OutcomeObserved(label="late", value=1.0).SerializeToString() if data is None else data
    return Received(topic, 0, offset, Event(str(offset), "T", "s", "", 1, 2, b"k", message))


async def test_each_topic_has_its_table() -> None:
    lake = MemoryLake()
    await archive(lake).on_records([outcome(0), outcome(0, b"", ROUTES_CHANGED.name), outcome(1)])
    assert lake.tables["outcomes_observed"].column("_offset").to_pylist() == [0, 1]
    assert lake.tables["routes_changed"].num_rows == 1


async def test_what_is_refused_is_returned_and_moves_the_position() -> None:
    lake, registry = MemoryLake(), CollectorRegistry()
    keeping = archive(lake, registry)
    rejections = await keeping.on_records([outcome(0), outcome(1, b"\xff")])
    await keeping.on_records([outcome(2)])
    assert [one.received.offset for one in rejections] == [1]
    assert registry.get_sample_value("archiver_rows_total", {"table": "outcomes_observed"}) == 2
    where = TopicPartition(OUTCOMES_OBSERVED.name, 0)
    assert await keeping.resume_from([where, TopicPartition(ROUTES_CHANGED.name, 2)]) == {
        where: 2,
        TopicPartition(ROUTES_CHANGED.name, 2): 0,
    }


async def test_a_lake_that_is_away_is_waited_for() -> None:
    keeping = archive(FailingLake(LakeUnavailable("disk full")))
    with pytest.raises(Unavailable, match="disk full"):
        await keeping.on_records([outcome(0)])
    with pytest.raises(Unavailable, match="disk full"):
        await keeping.resume_from([TopicPartition(OUTCOMES_OBSERVED.name, 0)])


async def test_a_table_that_went_back_ends_the_process_without_losing_the_batch() -> None:
    stop = asyncio.Event()
    lake = FailingLake(TableRewound("restored"))
    keeping = Archive(lake, KEEPERS, Metrics(CollectorRegistry()), stop)
    with pytest.raises(Unavailable, match="restored"):
        await keeping.on_records([outcome(0)])
    assert stop.is_set()
    assert isinstance(keeping.ended_by, TableRewound)


async def test_a_table_that_was_changed_under_it_ends_the_process_without_losing_the_batch() -> None:
    stop = asyncio.Event()
    keeping = Archive(FailingLake(SchemaError("holds string")), KEEPERS, Metrics(CollectorRegistry()), stop)
    with pytest.raises(Unavailable, match="holds string"):
        await keeping.on_records([outcome(0)])
    assert stop.is_set()
    assert isinstance(keeping.ended_by, SchemaError)


def test_a_table_that_does_not_fit_stops_no_other() -> None:
    lake, registry = MemoryLake(), CollectorRegistry()
    outcomes = KEEPERS[0].table
    lake.prepare(LakeTable(outcomes.path, outcomes.topic, pa.schema([("label", pa.int64())])))
    assert [keeper.table.path for keeper in fitting(lake, KEEPERS, Metrics(registry))] == ["routes_changed"]
    assert registry.get_sample_value("archiver_table_stopped", {"table": "outcomes_observed"}) == 1
    assert registry.get_sample_value("archiver_table_stopped", {"table": "routes_changed"}) == 0


def test_a_lake_of_which_no_table_fits_is_refused() -> None:
    lake = MemoryLake()
    for keeper in KEEPERS:
        lake.prepare(LakeTable(keeper.table.path, keeper.table.topic, pa.schema([("_id", pa.int64())])))
    with pytest.raises(SchemaError, match="no table"):
        fitting(lake, KEEPERS, Metrics(CollectorRegistry()))
