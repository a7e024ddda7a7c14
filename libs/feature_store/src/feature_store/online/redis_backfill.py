"""Markers, and what a backfill notes, on Redis or Valkey."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from redis.asyncio import RedisCluster

from feature_store.online.backfill_plan import Plan
from feature_store.online.backfill_ports import Note
from feature_store.online.claims import GENERATIONS_KEPT, claim_key, generation_of
from feature_store.online.epochs import FRESH, Epoch, epoch_of
from feature_store.online.keepers import positions_of
from feature_store.online.redis import read_many, store_errors
from feature_store.online.staging import claimed_topic, staged_name, staged_prefix

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from redis.asyncio import Redis

    from feature_store.online.keepers import Positions

MARKERS: Final = 64
"""In a cluster: that so many keys all miss one node of three is less likely than 10^-10."""
_KEYS_A_SCAN: Final = 512
_FIELDS_A_CALL: Final = 1_000


class RedisEpochs:
    """`Epochs` in Redis: `tm:e:<group>:<number>`, one marker, or 64 over the nodes of a cluster."""

    def __init__(self, client: Redis | RedisCluster, group: str) -> None:
        self._client = client
        count = MARKERS if isinstance(client, RedisCluster) else 1
        self._keys = [f"tm:e:{group}:{number}".encode() for number in range(count)]

    async def read(self) -> Epoch:
        """See `Epochs.read`."""
        with store_errors():
            return epoch_of(await read_many(self._client)(self._keys))

    async def begin(self) -> None:
        """See `Epochs.begin`."""
        pipeline = self._client.pipeline(transaction=False)
        for key in self._keys:
            pipeline.set(key, FRESH, nx=True)
        with store_errors():
            await pipeline.execute()

    async def write(self, epoch: bytes) -> None:
        """See `Epochs.write`."""
        pipeline = self._client.pipeline(transaction=False)
        for key in self._keys:
            pipeline.set(key, epoch)
        with store_errors():
            await pipeline.execute()

    async def evicted(self) -> int:
        """See `Epochs.evicted`."""
        with store_errors():
            if isinstance(self._client, RedisCluster):
                nodes = await self._client.info("stats", target_nodes=RedisCluster.PRIMARIES)
                # One node's answer comes bare.
                found = nodes.values() if "evicted_keys" not in nodes else [nodes]
                return sum(int(stats["evicted_keys"]) for stats in found)
            return int((await self._client.info("stats"))["evicted_keys"])


class RedisBackfillStore:
    """`BackfillStore` in Redis; the note is `tm:b:<group>`, JSON."""

    def __init__(self, client: Redis | RedisCluster, group: str) -> None:
        self._client = client
        self._group = group
        self._key = f"tm:b:{group}"

    async def note(self) -> Note | None:
        """See `BackfillStore.note`."""
        with store_errors():
            text = await self._client.get(self._key)
        if text is None:
            return None
        noted = json.loads(text)
        plan = Plan(
            noted["views"], noted["again"], noted["holds"], positions_of(noted["limits"]), noted["begins"]
        )
        return Note(noted["run"], noted["revision"], plan, positions_of(noted["positions"]))

    async def take_note(self, note: Note) -> None:
        """See `BackfillStore.take_note`."""
        noted = {
            "run": note.run,
            "revision": note.revision,
            "views": note.plan.views,
            "again": note.plan.again,
            "holds": note.plan.holds,
            "limits": note.plan.limits,
            "begins": note.plan.begins,
            "positions": note.positions,
        }
        with store_errors():
            await self._client.set(self._key, json.dumps(noted))

    async def staged_keys(self) -> AsyncIterator[Sequence[bytes]]:
        """See `BackfillStore.staged_keys`."""
        async for part in scan(self._client, staged_prefix(self._group) + b"*"):
            yield part

    async def copy_claims(self, positions: Positions) -> None:
        """See `BackfillStore.copy_claims`."""
        for topic, ends in positions.items():
            for partition, end in ends.items():
                last = generation_of(max(end - 1, 0))
                for generation in range(max(0, last - GENERATIONS_KEPT + 1), last + 1):
                    staged, live = (
                        claim_key(claimed_topic(name, topic), partition, generation)
                        for name in (staged_name(self._group), self._group)
                    )
                    await self._copy_hash(staged, live)

    async def forget(self) -> None:
        """See `BackfillStore.forget`."""
        claims = f"tm:c:{{{claimed_topic(staged_name(self._group), '*')}".encode()
        for pattern in (staged_prefix(self._group) + b"*", claims):
            async for part in scan(self._client, pattern):
                await unlink(self._client, part)
        with store_errors():
            await self._client.delete(self._key)

    async def _copy_hash(self, source: bytes, target: bytes) -> None:
        with store_errors():
            owners: dict[Any, Any] = await self._client.hgetall(source)
            fields = list(owners)
            for start in range(0, len(fields), _FIELDS_A_CALL):
                chosen = {field: owners[field] for field in fields[start : start + _FIELDS_A_CALL]}
                await self._client.hset(target, mapping=chosen)


async def scan(client: Redis | RedisCluster, pattern: bytes) -> AsyncIterator[list[bytes]]:
    """Yield the keys that match, in parts; some may come twice.

    Raises:
        StoreUnavailable: the store is away.
    """
    part: list[bytes] = []
    with store_errors():
        found: Any = client.scan_iter(match=pattern, count=_KEYS_A_SCAN)
        async for key in found:
            part.append(key)
            if len(part) == _KEYS_A_SCAN:
                yield part
                part = []
    if part:
        yield part


async def unlink(client: Redis | RedisCluster, keys: Sequence[bytes]) -> None:
    """Delete keys, wherever they lie.

    Raises:
        StoreUnavailable: the store is away; some may be deleted.
    """
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        # Of a cluster, the pipeline's own `unlink` is a coroutine, which adds no command to it.
        pipeline.execute_command("UNLINK", key)
    with store_errors():
        await pipeline.execute()
