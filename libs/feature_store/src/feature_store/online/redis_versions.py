"""The versions whose rows lie in Redis or Valkey: counting them, and deleting what nobody needs."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from feature_store.online.redis import store_errors
from feature_store.online.redis_backfill import MARKERS, scan, unlink
from feature_store.online.redis_keepers import RedisKeepers
from feature_store.rows import ROWS

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

    from feature_store.online.pruning import RowCounts

_KEY: Final = re.compile(rb"tm:f:([^:]+):(?:([0-9a-f]{8}):)?")


class RedisVersions:
    """Rows of one store, by view and version."""

    def __init__(self, client: Redis | RedisCluster) -> None:
        self._client: Any = client

    async def count(self) -> RowCounts:
        """Return how many rows there are, by looking at every key.

        Raises:
            StoreUnavailable: the store is away.
        """
        found: Counter[tuple[str, str]] = Counter()
        async for part in scan(self._client, f"{ROWS}*".encode()):
            for key in part:
                if (match := _KEY.match(key)) is not None:
                    found[match[1].decode(), (match[2] or b"").decode()] += 1
        return found

    async def delete_rows(self, view: str, version: str) -> int:
        """Delete the rows of a version; return how many.

        Raises:
            StoreUnavailable: the store is away; some are deleted.
        """
        prefix = f"{ROWS}{view}:{version}:" if version else f"{ROWS}{view}:"
        deleted = 0
        async for part in scan(self._client, f"{prefix}*".encode()):
            chosen = [
                key for key in part if (match := _KEY.match(key)) and (match[2] or b"").decode() == version
            ]
            await unlink(self._client, chosen)
            deleted += len(chosen)
        return deleted

    async def forget(self, group: str) -> None:
        """Delete what is known of a group: first its markers, so that it waits should it start again.

        Raises:
            StoreUnavailable: the store is away; doing it again goes on.
        """
        await unlink(self._client, [f"tm:e:{group}:{number}".encode() for number in range(MARKERS)])
        await RedisKeepers(self._client).remove(group)
        async for part in scan(self._client, f"tm:c:{{{group}/*".encode()):
            await unlink(self._client, part)
        with store_errors():
            await self._client.delete(f"tm:b:{group}")
