"""The online store on Redis or Valkey, one node or a cluster.

Scripts are sent as text (EVAL) and not by their hash: a server that restarted or failed over knows no hashes,
and the text costs less than one microsecond a row. Where the server is no cluster a call carries many rows,
which is what makes a write cheap for the client; in a cluster each row is its own call, since a script may
touch one slot only.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from hiredis import pack_command
from redis.asyncio import Redis, RedisCluster
from redis.cluster import LoadBalancingStrategy
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
)

from feature_store.online.claims import GENERATIONS_KEPT, claim_key
from feature_store.online.ports import ReadRows, StoreUnavailable
from feature_store.online.together import all_of
from feature_store.rows import WORD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from feature_store.online.ports import Claim

ROWS_A_CALL: Final = 64
"""A script stops the server while it runs: 64 rows take about 0.2 ms of it."""
ROWS_AT_ONCE: Final = 512
"""More are sent in parts: the server works on one while this process packs the next; others get a turn."""
IDS_A_CALL: Final = 1_000
"""Lua cannot unpack many more than 7,000 values."""

# The cluster's client has errors of its own beside the family.
_AWAY: Final = (RedisError, RedisClusterException, OSError, TimeoutError)
_REPLACE: Final = files(__package__).joinpath("replace_rows.lua").read_text()
_CLAIM: Final = files(__package__).joinpath("claim_ids.lua").read_text()


async def connect(
    url: str, *, timeout_s: float = 5.0, read_from_replicas: bool = False
) -> Redis | RedisCluster:
    """Return a client for the server at `url`: a cluster's when the server says that it is a node of one.

    Args:
        url: redis://, rediss:// or unix://; of a cluster, any node.
        timeout_s: How long one command may take before the server counts as away.
        read_from_replicas: In a cluster, spread reads over each slot's primary and its replicas. A replica's
            answer may be older than what was written; its offsets say by how much. A single server's replica
            is read by giving its own URL. Never for a client that writes.

    Raises:
        StoreUnavailable: the server does not answer.
    """
    single = Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
    with store_errors():
        try:
            is_node = bool((await single.info("cluster"))["cluster_enabled"])
        except BaseException:
            await single.aclose()
            raise
    if not is_node:
        pool = single.connection_pool
        pool.connection_class = type("PackingConnection", (_PackingInC, pool.connection_class), {})
        # The one connection that there is would go on packing in Python.
        await pool.disconnect()
        pool.reset()  # type: ignore[no-untyped-call]
        return single
    await single.aclose()
    strategy = LoadBalancingStrategy.ROUND_ROBIN if read_from_replicas else None
    cluster = RedisCluster.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        load_balancing_strategy=strategy,
    )
    # MGET over many slots looks at this alone; as an argument it is deprecated.
    cluster.read_from_replicas = read_from_replicas
    return cluster


class _PackingInC:
    """Mixed into the client's connections: packs commands in C, which for rows is several times as fast."""

    def pack_command(self, *args: bytes | str | int) -> list[bytes]:
        return [pack_command(cast("tuple[bytes]", args))]


class RedisFeatureRows:
    """`FeatureRows` in Redis: a string a row."""

    def __init__(self, client: Redis | RedisCluster) -> None:
        self._client = client
        self._rows_a_call = 1 if isinstance(client, RedisCluster) else ROWS_A_CALL

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `FeatureRows.read`."""
        mget = read_many(self._client)
        with store_errors():
            parts = await all_of(mget(keys[part]) for part in _parts(len(keys)))
        return [row for part in parts for row in part]

    async def replace(
        self, keys: Sequence[bytes], expected: Sequence[bytes], rows: Sequence[bytes]
    ) -> Mapping[int, bytes | None]:
        """See `FeatureRows.replace`."""
        parts = _parts(len(keys))
        with store_errors():
            refused = await all_of(
                self._replace_part(keys[part], expected[part], rows[part]) for part in parts
            )
        return {
            part.start + index: row
            for part, of_part in zip(parts, refused, strict=True)
            for index, row in of_part.items()
        }

    async def _replace_part(
        self, keys: Sequence[bytes], expected: Sequence[bytes], rows: Sequence[bytes]
    ) -> Mapping[int, bytes | None]:
        arguments = [part for pair in zip(expected, rows, strict=True) for part in pair]
        starts = range(0, len(keys), self._rows_a_call)
        pipeline = self._client.pipeline(transaction=False)
        for start in starts:
            chosen = keys[start : start + self._rows_a_call]
            given = arguments[2 * start : 2 * (start + len(chosen))]
            pipeline.execute_command("EVAL", _REPLACE, len(chosen), *chosen, *given)
        return {
            start + number - 1: stored
            for start, reply in zip(starts, await pipeline.execute(), strict=True)
            for number, stored in zip(reply[::2], reply[1::2], strict=True)
        }


class RedisClaims:
    """`Claims` in Redis: a hash a generation, `tm:c:{topic:partition}:generation`."""

    def __init__(self, client: Redis | RedisCluster) -> None:
        self._client = client

    async def claim(self, claims: Sequence[Claim]) -> list[list[int]]:
        """See `Claims.claim`."""
        pipeline = self._client.pipeline(transaction=False)
        parts = [
            (number, start)
            for number, claim in enumerate(claims)
            for start in range(0, len(claim.ids), IDS_A_CALL)
        ]
        for number, start in parts:
            claim, part = claims[number], slice(start, start + IDS_A_CALL)
            generations = claim.generation, claim.generation - 1, claim.oldest - GENERATIONS_KEPT
            keys = [claim_key(claim.topic, claim.partition, generation) for generation in generations]
            offsets = np.array(claim.offsets[part], WORD).tobytes()
            pipeline.execute_command("EVAL", _CLAIM, len(keys), *keys, b"".join(claim.ids[part]), offsets)
        with store_errors():
            replies = await pipeline.execute() if parts else []
        repeats: list[list[int]] = [[] for _ in claims]
        for (number, start), reply in zip(parts, replies, strict=True):
            repeats[number].extend(start + found - 1 for found in reply)
        return repeats


class RedisRowReader:
    """`RowReader` on Redis: one MGET for all the rows of a micro-batch.

    Attributes:
        deadline_s: How long a read may take; afterwards the rows count as unreadable.
        on_failure: Called with what went wrong whenever rows could not be read, to be counted and logged.
    """

    def __init__(
        self, client: Redis | RedisCluster, *, deadline_s: float, on_failure: Callable[[Exception], None]
    ) -> None:
        self._mget = read_many(client)
        self.deadline_s = deadline_s
        self.on_failure = on_failure

    async def read(self, keys: Sequence[bytes]) -> ReadRows:
        """See `RowReader.read`."""
        try:
            async with asyncio.timeout(self.deadline_s):
                return ReadRows(await self._mget(keys) if keys else (), readable=True)
        except _AWAY as error:
            self.on_failure(error)
            return ReadRows([None] * len(keys), readable=False)


def _parts(count: int) -> list[slice]:
    return [slice(start, start + ROWS_AT_ONCE) for start in range(0, count, ROWS_AT_ONCE)]


def read_many(client: Redis | RedisCluster) -> Callable[[Sequence[bytes]], Awaitable[list[bytes | None]]]:
    """Return the client's way to read many keys at once."""
    mget = client.mget_nonatomic if isinstance(client, RedisCluster) else client.mget
    return cast("Callable[[Sequence[bytes]], Awaitable[list[bytes | None]]]", mget)


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn the client's errors into `StoreUnavailable` that says what is wrong and what to do."""
    try:
        yield
    except _AWAY as error:
        raise StoreUnavailable(_told(error)) from error


def _told(error: BaseException) -> str:
    # The client takes the server's word for it out of the text and makes a class of it, but for MISCONF.
    for kind, told in _TOLD.items():
        if isinstance(error, kind):
            return f"the feature store {told}"
    if "MISCONF" in str(error):
        return "the feature store cannot write to its disk and so takes no writes: free its disk"
    return f"the feature store does not answer: {error!r}; is Redis up and REDIS_URL right?"


_TOLD: Final[Mapping[type[RedisError], str]] = {
    OutOfMemoryError: "is full: raise maxmemory, or remove what else is in it; nothing is lost meanwhile",
    ReadOnlyError: "is a replica, which takes no writes: set REDIS_URL to the primary, or let it be promoted",
    ClusterDownError: "is a cluster some of whose slots nobody serves: bring the node back or fail it over",
    BusyLoadingError: "is reading its data after a restart; it will answer when it is done",
}
