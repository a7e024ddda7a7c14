from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from feature_store.online import FeatureRows, MemoryFeatureRows
from feature_store.online.redis import ROWS_A_CALL, RedisFeatureRows
from feature_store.rows import revision_of, row_key

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

DIGEST = bytes(32)


@pytest.fixture
def rows(client: Redis | RedisCluster | None) -> FeatureRows:
    return MemoryFeatureRows() if client is None else RedisFeatureRows(client)


def row(revision: int, content: bytes = b"\x00\xff\r\n" * 10) -> bytes:
    return b"sixteen bytes..." + revision.to_bytes(8, "little") + content


async def test_a_key_that_was_never_written_has_no_row(rows: FeatureRows, own: str) -> None:
    assert await rows.read([row_key(own, DIGEST, "JFK"), row_key(own, DIGEST, "EWR")]) == [None, None]
    assert await rows.read([]) == []


async def test_rows_come_back_in_the_order_asked(rows: FeatureRows, own: str) -> None:
    keys = [row_key(own, DIGEST, f"{number} é {{tag}}") for number in range(50)]
    written = [row(number + 1) for number in range(50)]
    assert await rows.replace(keys, [b""] * 50, written) == {}
    assert await rows.read([*reversed(keys), row_key(own, DIGEST, "none")]) == [*reversed(written), None]


async def test_a_row_is_replaced_while_its_revision_is_the_expected_one(rows: FeatureRows, own: str) -> None:
    key = row_key(own, DIGEST, "JFK")
    assert await rows.replace([key], [b""], [row(1)]) == {}
    assert await rows.replace([key], [revision_of(row(1))], [row(2)]) == {}
    assert await rows.read([key]) == [row(2)]


async def test_each_refused_replacement_tells_what_is_stored_and_leaves_it(
    rows: FeatureRows, own: str
) -> None:
    count = 2 * ROWS_A_CALL + 3
    keys = [row_key(own, DIGEST, str(number)) for number in range(count)]
    stored = [row(7, str(number).encode()) for number in range(count)]
    await rows.replace(keys[1:], [b""] * (count - 1), stored[1:])
    refused = {1: b"", ROWS_A_CALL + 1: revision_of(row(6)), count - 1: revision_of(row(8))}

    expected = [refused.get(number, revision_of(row(7)) if number else b"") for number in range(count)]
    conflicts = await rows.replace(keys, expected, [row(9)] * count)

    assert dict(conflicts) == {number: stored[number] for number in refused}
    after = await rows.read(keys)
    assert after == [stored[number] if number in refused else row(9) for number in range(count)]


async def test_a_row_that_is_gone_is_a_conflict_without_a_row(rows: FeatureRows, own: str) -> None:
    assert await rows.replace([row_key(own, DIGEST, "gone")], [revision_of(row(3))], [row(4)]) == {0: None}


async def test_revisions_are_compared_as_bytes(rows: FeatureRows, own: str) -> None:
    key, high = row_key(own, DIGEST, "JFK"), 2**64 - 1
    await rows.replace([key], [b""], [row(high)])
    # As floating point numbers, which is what Lua has, the two are the same.
    assert await rows.replace([key], [revision_of(row(high - 1))], [row(1)]) == {0: row(high)}
    assert await rows.replace([key], [revision_of(row(high))], [row(1)]) == {}


async def test_of_many_that_replace_the_same_row_at_once_one_wins(rows: FeatureRows, own: str) -> None:
    key = row_key(own, DIGEST, "JFK")
    contenders = [row(1, str(number).encode()) for number in range(20)]
    outcomes = await asyncio.gather(*(rows.replace([key], [b""], [one]) for one in contenders))
    winners = [one for one, conflicts in zip(contenders, outcomes, strict=True) if not conflicts]
    assert await rows.read([key]) == winners
    assert all(conflicts == {0: winners[0]} for conflicts in outcomes if conflicts)
