"""One suite over every ledger: in memory, on one Valkey, on a cluster."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from typing import TYPE_CHECKING

import pytest
from feature_store.online.redis import connect
from shadow_comparator.adapters.ledger import CHANGES, Entry, Ledger, Page, Ranked, Write
from shadow_comparator.adapters.memory import MemoryLedger
from shadow_comparator.adapters.redis import RedisLedger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_KEEP_MS = 60_000


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
async def ledger(url: str | None) -> AsyncIterator[Ledger]:
    if url is None:
        yield MemoryLedger()
        return
    client = await connect(url)
    try:
        yield RedisLedger(client)
    finally:
        await client.aclose()


@pytest.fixture
def key() -> bytes:
    return b"tm:test:" + uuid.uuid4().hex.encode()


def _write(key: bytes, *entries: Entry, keep_ms: int = _KEEP_MS) -> Write:
    return Write(key, entries, keep_ms)


async def test_a_field_is_written_once(ledger: Ledger, key: bytes) -> None:
    await ledger.write([_write(key, Entry(b"a", 0, b"first"))])
    assert await ledger.write([_write(key, Entry(b"a", 0, b"second"))]) == [[0]]
    assert (await ledger.read([key]))[0].fields == {b"a": Ranked(0, b"first")}


async def test_a_higher_rank_supersedes_and_a_lower_one_does_not(ledger: Ledger, key: bytes) -> None:
    for rank in (3, 10, 9):
        await ledger.write([_write(key, Entry(b"a", rank, b"%d" % rank))])
    assert (await ledger.read([key]))[0].fields == {b"a": Ranked(10, b"10")}


async def test_bytes_come_back_as_they_were(ledger: Ledger, key: bytes) -> None:
    value = bytes(range(256)) + b"|#"
    name = b"\x00\xff|name"
    page = (await ledger.exchange([_write(key, Entry(name, 7, value))]))[0]
    assert page.fields == {name: Ranked(7, value)}
    assert await ledger.read([key]) == [page]


async def test_whoever_writes_second_sees_what_was_written_first(ledger: Ledger, key: bytes) -> None:
    first = await ledger.exchange([_write(key, Entry(b"a", 0, b"1"))])
    second = await ledger.exchange([_write(key, Entry(b"b", 0, b"2"))])
    assert set(first[0].fields) == {b"a"}
    assert set(second[0].fields) == {b"a", b"b"}


async def test_of_two_writers_at_the_same_time_one_sees_both(ledger: Ledger, key: bytes) -> None:
    keys = [key + b"%d" % number for number in range(50)]
    ones, others = await asyncio.gather(
        ledger.exchange([_write(one, Entry(b"a", 0, b"")) for one in keys]),
        ledger.exchange([_write(one, Entry(b"b", 0, b"")) for one in keys]),
    )
    for one, other in zip(ones, others, strict=True):
        assert sorted((len(one.fields), len(other.fields))) in ([1, 2], [2, 2])


async def test_counters_count_new_fields_and_changes_count_everything(ledger: Ledger, key: bytes) -> None:
    names = (CHANGES, b"seen", b"never")
    assert await ledger.write(
        [_write(key, Entry(b"a", 0, b"", b"seen"), Entry(b"b", 0, b"", b"seen"))], names
    ) == [[2, 2, 2, 0]]
    assert await ledger.write([_write(key, Entry(b"a", 1, b"x", b"seen"))], names) == [[1, 3, 2, 0]]
    assert await ledger.write([_write(key, Entry(b"a", 1, b"y", b"seen"))], names) == [[0, 3, 2, 0]]
    assert (await ledger.read([key]))[0].counters == {CHANGES: 3, b"seen": 2}


async def test_the_order_of_writes_changes_nothing_in_the_end(ledger: Ledger, key: bytes) -> None:
    entries = [Entry(b"a", 1, b"a1"), Entry(b"a", 2, b"a2"), Entry(b"b", 0, b"b0"), Entry(b"c", 5, b"c5")]
    pages = []
    for number, order in enumerate(itertools.permutations(entries)):
        hash_key = key + b"%d" % number
        await ledger.write([_write(hash_key, entry) for entry in (*order, *order)])
        pages.append((await ledger.read([hash_key]))[0].fields)
    assert all(page == pages[0] for page in pages)


async def test_a_hash_that_is_not_there_is_empty(ledger: Ledger, key: bytes) -> None:
    assert await ledger.read([key]) == [Page()]
    assert await ledger.read([]) == []
    assert await ledger.write([]) == []
    assert await ledger.exchange([]) == []


async def test_a_field_is_dropped_unless_it_has_moved_on(ledger: Ledger, key: bytes) -> None:
    await ledger.write([_write(key, Entry(b"a", 5, b""), Entry(b"b", 6, b""))])
    for name in (b"a", b"b", b"never"):
        await ledger.drop(key, name, 5)
    assert set((await ledger.read([key]))[0].fields) == {b"b"}


async def test_many_hashes_are_written_and_read_in_their_order(ledger: Ledger, key: bytes) -> None:
    keys = [key + b"%d" % number for number in range(20)]
    await ledger.write([_write(one, Entry(b"n", 0, one)) for one in keys])
    assert [page.fields[b"n"].value for page in await ledger.read(keys)] == keys


async def test_a_hash_is_kept_for_as_long_as_was_asked_and_no_write_shortens_that() -> None:
    now_ms = 0
    ledger = MemoryLedger(lambda: now_ms)
    await ledger.write([_write(b"k", Entry(b"a", 0, b""), keep_ms=1000)])
    now_ms = 500
    await ledger.write([_write(b"k", Entry(b"b", 0, b""), keep_ms=100)])
    now_ms = 999
    assert set((await ledger.read([b"k"]))[0].fields) == {b"a", b"b"}
    now_ms = 1000
    assert await ledger.read([b"k"]) == [Page()]


@pytest.mark.stack
async def test_valkey_keeps_a_hash_for_as_long_as_was_asked(redis_url: str, key: bytes) -> None:
    client = await connect(redis_url)
    ledger = RedisLedger(client)
    await ledger.write([_write(key, Entry(b"a", 0, b""), keep_ms=90_000)])
    await ledger.write([_write(key, Entry(b"b", 0, b""), keep_ms=1_000)])
    assert 80_000 < await client.pttl(key) <= 90_000
    await ledger.write([_write(key, keep_ms=200_000)])
    assert 190_000 < await client.pttl(key) <= 200_000
    await client.aclose()
