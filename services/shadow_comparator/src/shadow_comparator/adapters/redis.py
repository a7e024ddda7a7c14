"""The ledger on Redis or Valkey, one node or a cluster."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from bus.errors import Unavailable
from redis.exceptions import RedisError

from shadow_comparator.adapters.ledger import Page, Ranked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from redis.asyncio import Redis, RedisCluster

    from shadow_comparator.adapters.ledger import Write

# Sent as text and not by hash: a server that restarted or failed over knows no hashes.
_WRITE: Final = files(__package__).joinpath("write.lua").read_text()
_DROP: Final = files(__package__).joinpath("drop.lua").read_text()


class RedisLedger:
    """`Ledger` in Redis: a key a hash."""

    def __init__(self, client: Redis | RedisCluster) -> None:
        self._client = client

    async def write(self, writes: Sequence[Write], counters: Sequence[bytes] = ()) -> list[list[int]]:
        """See `Ledger.write`."""
        replies: list[list[int]] = await self._eval(writes, 0, len(counters), *counters)
        return replies

    async def exchange(self, writes: Sequence[Write]) -> list[Page]:
        """See `Ledger.exchange`."""
        replies: list[list[bytes]] = await self._eval(writes, 1, 0)
        return [_page(zip(reply[::2], reply[1::2], strict=True)) for reply in replies]

    async def read(self, keys: Sequence[bytes]) -> list[Page]:
        """See `Ledger.read`."""
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.hgetall(key)
        with _unavailable():
            replies: list[dict[bytes, bytes]] = await pipeline.execute() if keys else []
        return [_page(reply.items()) for reply in replies]

    async def drop(self, key: bytes, name: bytes, rank: int) -> None:
        """See `Ledger.drop`."""
        with _unavailable():
            await self._client.execute_command("EVAL", _DROP, 1, key, name, rank)

    async def _eval(self, writes: Sequence[Write], *options: int | bytes) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for write in writes:
            entries = [part for entry in write.entries for part in entry]
            pipeline.execute_command("EVAL", _WRITE, 1, write.key, write.keep_ms, *options, *entries)
        with _unavailable():
            replies: list[Any] = await pipeline.execute() if writes else []
        return replies


def _page(stored: Iterable[tuple[bytes, bytes]]) -> Page:
    fields: dict[bytes, Ranked] = {}
    counters: dict[bytes, int] = {}
    for name, content in stored:
        if name.startswith(b"#"):
            counters[name[1:]] = int(content)
        else:
            rank, _, value = content.partition(b"|")
            fields[name] = Ranked(int(rank), value)
    return Page(fields, counters)


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable(
            f"the prediction log does not answer: {error!r}; is Redis up and REDIS_URL right?"
        ) from error
