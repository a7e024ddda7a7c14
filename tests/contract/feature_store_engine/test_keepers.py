"""Who keeps what, in memory, on a Valkey and on a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from feature_store.online.keepers import Keeper, Keepers, MemoryKeepers
from feature_store.online.redis_keepers import RedisKeepers

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster


@pytest.fixture
def keepers(client: Redis | RedisCluster | None) -> Keepers:
    return MemoryKeepers() if client is None else RedisKeepers(client)


@pytest.fixture
def keeper(own: str) -> Keeper:
    return Keeper(
        own, "taxis", {"trips": "0a" * 32}, {"t": {0: 3}}, {"t": {0: 9, 1: 0}}, complete=False, began_us=7
    )


async def found(keepers: Keepers, group: str) -> list[Keeper]:
    return [one for one in await keepers.all() if one.group == group]


async def test_a_keeper_is_found_as_it_was_put_last(keepers: Keepers, keeper: Keeper) -> None:
    assert await found(keepers, keeper.group) == []
    await keepers.put(keeper)
    assert await found(keepers, keeper.group) == [keeper]
    await keepers.put(keeper.completed())
    assert await found(keepers, keeper.group) == [replace(keeper, complete=True)]


async def test_a_keeper_that_is_removed_is_gone_and_may_be_removed_again(
    keepers: Keepers, keeper: Keeper
) -> None:
    await keepers.put(keeper)
    await keepers.remove(keeper.group)
    await keepers.remove(keeper.group)
    assert await found(keepers, keeper.group) == []


async def test_keepers_come_by_name(keepers: Keepers, keeper: Keeper) -> None:
    for name in ("b", "a"):
        await keepers.put(replace(keeper, group=f"{keeper.group}-{name}"))
    names = [one.group for one in await keepers.all() if one.group.startswith(f"{keeper.group}-")]
    assert names == [f"{keeper.group}-a", f"{keeper.group}-b"]
