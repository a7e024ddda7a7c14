"""Who keeps which versions, on Redis or Valkey."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from feature_store.online.keepers import Keeper, positions_of
from feature_store.online.redis import store_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis, RedisCluster

KEEPERS: Final = b"tm:k"
"""A hash: group to JSON."""


class RedisKeepers:
    """`Keepers` in Redis."""

    def __init__(self, client: Redis | RedisCluster) -> None:
        self._client: Any = client

    async def all(self) -> Sequence[Keeper]:
        """See `Keepers.all`."""
        with store_errors():
            found: dict[bytes, bytes] = await self._client.hgetall(KEEPERS)
        return [_keeper(found[group]) for group in sorted(found)]

    async def put(self, keeper: Keeper) -> None:
        """See `Keepers.put`."""
        with store_errors():
            await self._client.hset(KEEPERS, keeper.group, json.dumps(asdict(keeper)))

    async def remove(self, group: str) -> None:
        """See `Keepers.remove`."""
        with store_errors():
            await self._client.hdel(KEEPERS, group)


def _keeper(text: bytes) -> Keeper:
    kept = json.loads(text)
    return Keeper(
        kept["group"],
        kept["project"],
        kept["views"],
        positions_of(kept["since"]),
        positions_of(kept["until"]),
        kept["complete"],
        kept["began_us"],
    )
