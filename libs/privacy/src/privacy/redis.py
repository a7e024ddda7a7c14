"""Deleting rows in Redis or Valkey."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from feature_store.online.redis import store_errors

if TYPE_CHECKING:
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
