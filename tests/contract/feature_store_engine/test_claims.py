from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from feature_store.online import Claim, Claims, MemoryClaims
from feature_store.online.claims import digest
from feature_store.online.redis import IDS_A_CALL, RedisClaims

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster


@pytest.fixture
def claims(client: Redis | RedisCluster | None) -> Claims:
    return MemoryClaims() if client is None else RedisClaims(client)


def claim(topic: str, ids: str, first: int = 0, *, partition: int = 0, generation: int = 0) -> Claim:
    """A claim of one id a letter, at offsets that follow each other."""
    offsets = range(first, first + len(ids))
    return Claim(topic, partition, generation, generation, [digest(letter) for letter in ids], list(offsets))


async def test_new_ids_are_no_repeats(claims: Claims, own: str) -> None:
    assert await claims.claim([claim(own, "abc"), claim(own, "abc", partition=1)]) == [[], []]
    assert await claims.claim([]) == []


async def test_an_id_owned_by_another_offset_is_a_repeat(claims: Claims, own: str) -> None:
    assert await claims.claim([claim(own, "abca")]) == [[3]]
    assert await claims.claim([claim(own, "dbe", 4)]) == [[1]]


async def test_a_batch_handled_again_finds_its_own_claims(claims: Claims, own: str) -> None:
    for _ in range(3):
        assert await claims.claim([claim(own, "abca")]) == [[3]]
    # Cut otherwise, and with what came after: the answers are the same.
    assert await claims.claim([claim(own, "ca", 2), claim(own, "bf", 4)]) == [[1], [0]]


async def test_a_repeat_does_not_become_the_owner(claims: Claims, own: str) -> None:
    await claims.claim([claim(own, "ab")])
    assert await claims.claim([claim(own, "a", 2)]) == [[0]]
    assert await claims.claim([claim(own, "a", 0)]) == [[]]
    assert await claims.claim([claim(own, "a", 2)]) == [[0]]


async def test_partitions_and_topics_have_their_own_claims(claims: Claims, own: str) -> None:
    await claims.claim([claim(own, "a")])
    others = [claim(own, "a", 5, partition=1), claim(f"{own}-2", "a", 6)]
    assert await claims.claim(others) == [[], []]


async def test_a_claim_is_recognised_in_the_next_generation_and_then_forgotten(
    claims: Claims, own: str
) -> None:
    await claims.claim([claim(own, "a", generation=5)])
    assert await claims.claim([claim(own, "a", 10, generation=6)]) == [[0]]
    assert await claims.claim([claim(own, "a", 20, generation=7)]) == [[]]
    assert await claims.claim([claim(own, "a", 30, generation=8)]) == [[0]]


async def test_claims_of_old_generations_are_dropped(claims: Claims, own: str) -> None:
    await claims.claim([claim(own, "a", generation=5)])
    await claims.claim([claim(own, "b", 10, generation=8)])
    # Claimed anew by an offset that was a repeat while the claim was kept.
    assert await claims.claim([claim(own, "a", 1, generation=5)]) == [[]]


async def test_many_ids_are_claimed_at_once(claims: Claims, own: str) -> None:
    count = 2 * IDS_A_CALL + 5
    ids = [digest(str(number)) for number in range(count)]
    ids[-1] = ids[0]
    many = Claim(own, 0, 0, 0, ids, list(range(count)))
    assert await claims.claim([many]) == [[count - 1]]
    assert await claims.claim([many, claim(own, "z", count)]) == [[count - 1], []]
