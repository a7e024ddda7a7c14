"""Deleting rows in Redis or Valkey."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from feature_store.online.redis import store_errors
from feature_store.online.redis_versions import RedisVersions
from feature_store.rows import ROWS, VERSION_DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from feature_store import View
    from redis.asyncio import Redis, RedisCluster

_ERASE: Final = files(__package__).joinpath("erase_row.lua").read_text()


class RedisErasableRows:
    """`rows.ErasableRows` in Redis."""

    def __init__(self, client: Redis | RedisCluster) -> None:
        self._client = client

    async def delete(self, key: bytes, revision: bytes) -> bool:
        """See `ErasableRows.delete`."""
        with store_errors():
            gone: Any = await self._client.execute_command("EVAL", _ERASE, 1, key, revision)
        return bool(gone)


async def delete_other_versions(client: Redis | RedisCluster, views: Iterable[View], key: str) -> int:
    """Delete an entity's rows of every version of these views but their own; return how many.

    Raises:
        StoreUnavailable: the store is away.
    """
    own = {view.name: view.digest.hex()[:VERSION_DIGITS] for view in views}
    deleted = 0
    for name, version in await RedisVersions(client).count():
        if name in own and version != own[name]:
            row = f"{ROWS}{name}:{version}:{key}" if version else f"{ROWS}{name}:{key}"
            with store_errors():
                deleted += int(await client.delete(row))
    return deleted
