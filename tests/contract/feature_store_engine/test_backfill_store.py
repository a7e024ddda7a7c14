"""What a backfill keeps beside rows, and the versions of rows, on a Valkey and on a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from feature_store.online import MemoryClaims, MemoryFeatureRows
from feature_store.online.backfill_plan import Plan
from feature_store.online.backfill_ports import BackfillStore, Note
from feature_store.online.claims import digest
from feature_store.online.epochs import Condition
from feature_store.online.memory_backfill import MemoryBackfillStore
from feature_store.online.ports import Claim, Claims, FeatureRows
from feature_store.online.redis import RedisClaims, RedisFeatureRows
from feature_store.online.redis_backfill import RedisBackfillStore, RedisEpochs
from feature_store.online.redis_versions import RedisVersions
from feature_store.online.staging import OwnClaims, StagedRows, staged_name
from feature_store.rows import key_prefix

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

PLAN = Plan({"trips": "0a" * 32}, again=True, holds=["other"], limits={"t": {0: 5}}, begins=False)


@pytest.fixture
def store(client: Redis | RedisCluster | None, own: str) -> tuple[BackfillStore, FeatureRows, Claims]:
    if client is None:
        rows, claims = MemoryFeatureRows(), MemoryClaims()
        return MemoryBackfillStore(rows, claims, own), rows, claims
    return RedisBackfillStore(client, own), RedisFeatureRows(client), RedisClaims(client)


async def test_what_is_noted_is_found_until_it_is_forgotten(
    store: tuple[BackfillStore, FeatureRows, Claims],
) -> None:
    kept, _, _ = store
    assert await kept.note() is None
    note = Note("run", 17, PLAN, {"t": {0: 3, 1: 4}})
    await kept.take_note(note)
    assert await kept.note() == note
    await kept.forget()
    assert await kept.note() is None


async def test_staged_rows_and_claims_are_a_group_s_own(
    store: tuple[BackfillStore, FeatureRows, Claims], own: str
) -> None:
    kept, rows, claims = store
    staged = StagedRows(rows, own)
    await staged.replace([b"tm:f:" + own.encode()], [b""], [b"row"])
    claim = Claim("t", 0, 0, 0, [digest("a")], [4])
    await OwnClaims(claims, staged_name(own)).claim([claim])
    keys = [key async for part in kept.staged_keys() for key in part]
    assert keys == [f"tm:r:{own}:tm:f:{own}".encode()]
    await kept.copy_claims({"t": {0: 5}})
    await kept.forget()
    assert [key async for part in kept.staged_keys() for key in part] == []
    repeated = Claim("t", 0, 0, 0, [digest("a")], [9])
    assert await OwnClaims(claims, own).claim([repeated]) == [[0]]
    assert await OwnClaims(claims, f"{own}-2").claim([repeated]) == [[]]


@pytest.mark.stack
@pytest.mark.parametrize("url", ["redis_url", "redis_cluster_url"], indirect=True)
async def test_versions_are_counted_deleted_and_their_groups_forgotten(
    client: Redis | RedisCluster, own: str
) -> None:
    view, versions = own.replace(":", "-"), RedisVersions(client)
    old, new = key_prefix(view, b"\1" * 32), key_prefix(view, b"\2" * 32)
    keys = [*(old + b"%d" % n for n in range(30)), *(new + b"%d" % n for n in range(5))]
    keys += [f"tm:f:{view}:{n}".encode() for n in range(3)]
    await RedisFeatureRows(client).replace(keys, [b""] * 38, [b"row"] * 38)
    counts = {key[1]: count for key, count in (await versions.count()).items() if key[0] == view}
    assert counts == {"01010101": 30, "02020202": 5, "": 3}
    assert await versions.delete_rows(view, "01010101") == 30
    assert await versions.delete_rows(view, "") == 3
    counts = {key[1]: count for key, count in (await versions.count()).items() if key[0] == view}
    assert counts == {"02020202": 5}
    epochs = RedisEpochs(client, own)
    await epochs.begin()
    await versions.forget(own)
    assert (await epochs.read()).condition is Condition.UNMARKED
