"""One suite over every store of shares: in memory, on one Valkey, on a cluster."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import numpy as np
import pytest
from bus.positions import TopicPartition
from bus.watermarks import Watermark
from drift_detector.adapters import codec
from drift_detector.adapters.memory import MemoryDiaries, MemoryShares
from drift_detector.adapters.redis import RedisDiaries, RedisShares
from drift_detector.domain.contents import Step
from drift_detector.domain.diaries import Diary, Entry, Topic
from drift_detector.domain.inputs import InputSketch
from drift_detector.domain.outcomes import LabelSketch, tally_of
from drift_detector.domain.shares import Crowd
from drift_detector.domain.windows import Place
from drift_detector.ports import Piece
from feature_store.online.redis import connect
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from drift_detector.ports import Diaries, Shares
    from redis.asyncio import Redis, RedisCluster

_HERE, _THERE = TopicPartition("answers", 0), TopicPartition("answers", 1)
_PLACE = Place("delay|1", "a:b|c", 86_400, 172_800)
_PIECE = Piece(Crowd("delay|1", "a:b|c", 86_400), 0)


@pytest.fixture(
    params=[
        "memory",
        pytest.param("redis_url", marks=pytest.mark.stack),
        pytest.param("redis_cluster_url", marks=pytest.mark.stack),
    ]
)
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue(request.param)


@pytest.fixture
async def client(url: str | None) -> AsyncIterator[Redis | RedisCluster | None]:
    if url is None:
        yield None
        return
    client = await connect(url)
    yield client
    await client.aclose()


@pytest.fixture
def shares(client: Redis | RedisCluster | None) -> Shares[InputSketch]:
    if client is None:
        return MemoryShares()
    return RedisShares(
        client,
        f"tm:test:{uuid.uuid4().hex}",
        write=codec.inputs_bytes,
        read=codec.inputs_of,
        keep_ms=60_000,
    )


@pytest.fixture
def diaries(client: Redis | RedisCluster | None) -> Diaries:
    return MemoryDiaries() if client is None else RedisDiaries(client, f"tm:test:{uuid.uuid4().hex}")


def _sketch(rows: int) -> InputSketch:
    return InputSketch(rows, rows, rows, np.arange(5), np.array([1]), np.array([0]), {"carrier": 2})


async def test_what_is_saved_is_held(shares: Shares[InputSketch]) -> None:
    assert await shares.save(_HERE, 0, Watermark(3, 0, 77), {_PLACE: _sketch(3)}, {_PIECE: [(2**64 - 1, 3)]})
    held = await shares.held(_HERE)
    assert (held.mark, held.floor_us, set(held.places)) == (Watermark(3, 0, 77), 0, {_PLACE})
    assert held.crowds == {_PIECE.crowd: 1}
    assert await shares.logs(_HERE, [_PIECE, Piece(_PIECE.crowd, 1)]) == {_PIECE: [(2**64 - 1, 3)]}
    (found,) = (await shares.sketches(_HERE, [_PLACE, _PLACE._replace(grain_us=0)])).values()
    assert codec.inputs_bytes(found) == codec.inputs_bytes(_sketch(3))


async def test_a_partition_never_counted_has_no_mark(shares: Shares[InputSketch]) -> None:
    await shares.save(_HERE, 0, Watermark(3, 0, 77), {}, {})
    assert await shares.marks([_HERE, _THERE]) == {_HERE: Watermark(3, 0, 77)}
    assert (await shares.held(_THERE)).mark == Watermark(0)


async def test_only_whoever_stands_where_it_stands_may_save(shares: Shares[InputSketch]) -> None:
    assert await shares.save(_HERE, 0, Watermark(3, 0, 7), {_PLACE: _sketch(3)}, {})
    assert not await shares.save(_HERE, 0, Watermark(4, 0, 8), {_PLACE: _sketch(4)}, {_PIECE: [(1, 0)]})
    assert not await shares.save(_HERE, 5, Watermark(6, 0, 8), {_PLACE: _sketch(6)}, {})
    (found,) = (await shares.sketches(_HERE, [_PLACE])).values()
    assert found.rows == 3
    assert not (await shares.held(_HERE)).crowds
    assert await shares.save(_HERE, 3, Watermark(6, 0, 8), {_PLACE: _sketch(6)}, {})


async def test_grains_before_the_floor_are_gone(shares: Shares[InputSketch]) -> None:
    later, piece = _PLACE._replace(grain_us=172_800), Piece(Crowd("m", "v", 172_800), 0)
    await shares.save(
        _HERE, 0, Watermark(3), {_PLACE: _sketch(1), later: _sketch(2)}, {_PIECE: [(1, 0)], piece: [(2, 0)]}
    )
    await shares.forget(_HERE, 172_800)
    held = await shares.held(_HERE)
    assert (held.mark, held.floor_us) == (Watermark(3), 172_800)
    assert (set(held.places), set(held.crowds)) == ({later}, {piece.crowd})


async def test_a_diary_reads_back_as_it_was_written(diaries: Diaries) -> None:
    diary = Diary.begun(5)
    diary.version = "a"
    diary.entries[Topic("quality", 86_400)] = Entry(2, "a", "digest", 172_800)
    diary.steps["a"] = [Step(1, 2, 3)]
    assert await diaries.read("delay") is None
    await diaries.write("delay", diary)
    assert await diaries.read("delay") == diary


@given(
    scores=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), max_size=20),
    part=st.text(max_size=10),
)
def test_sketches_of_outcomes_read_back_as_they_were(scores: list[tuple[float, int]], part: str) -> None:
    values = np.array([score for score, _ in scores], np.float64)
    outcomes = np.array([outcome for _, outcome in scores], np.int64)
    tally = tally_of(values, outcomes, 0.5)
    found = codec.labels_of(codec.labels_bytes(LabelSketch({"": tally, f"carrier={part}": -tally})))
    assert {name: one.tolist() for name, one in found.items()} == {
        "": tally.tolist(),
        f"carrier={part}": (-tally).tolist(),
    }
