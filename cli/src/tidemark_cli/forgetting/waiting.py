"""Predictions that wait for their outcome, in the shadow comparator's ledger (docs/formats.md)."""

from typing import Any

from feature_store.online.redis import store_errors
from google.protobuf.message import DecodeError
from redis.asyncio import Redis, RedisCluster
from tidemark.scoring.v1.prediction_pb2 import PredictionResolved

_KEYS_AT_ONCE = 512
_PREDICTION = b"p"


async def erase_waiting(
    client: Redis | RedisCluster, prefix: str, entity: str, key: str, until_us: int | None
) -> int:
    """Deletes the joins whose predictions are about a subject, and returns how many there were.

    Args:
        client: The store.
        prefix: Of the ledger's keys.
        entity: The entity's name.
        key: Its key as predictions have it.
        until_us: Requests made up to then; None to count all and delete none.

    Raises:
        StoreUnavailable: the store is away.
    """
    found = 0
    with store_errors():
        names: list[bytes] = []
        async for name in client.scan_iter(match=f"{prefix}:j:*", count=_KEYS_AT_ONCE):
            names.append(name)
            if len(names) == _KEYS_AT_ONCE:
                found += await _erase(client, names, entity, key, until_us)
                names = []
        return found + await _erase(client, names, entity, key, until_us)


async def _erase(
    client: Redis | RedisCluster, names: list[bytes], entity: str, key: str, until_us: int | None
) -> int:
    if not names:
        return 0
    reading: Any = client.pipeline(transaction=False)
    for name in names:
        reading.execute_command("HGETALL", name)
    held = [_pairs(one) for one in await reading.execute()]
    about = [
        name
        for name, fields in zip(names, held, strict=True)
        if any(_is_about(content, entity, key, until_us) for content in fields)
    ]
    if about and until_us is not None:
        deleting: Any = client.pipeline(transaction=False)
        for name in about:
            deleting.execute_command("UNLINK", name)
        await deleting.execute()
    return len(about)


def _pairs(reply: Any) -> list[bytes]:
    """Returns the contents of a hash's predictions, as the client or the server lists it."""
    fields = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return [content for name, content in fields if name.startswith(_PREDICTION)]


def _is_about(content: bytes, entity: str, key: str, until_us: int | None) -> bool:
    # Up to the line feed stand the entry's rank and the request's trace.
    try:
        message = PredictionResolved.FromString(content.partition(b"\n")[2])
    except DecodeError:
        return False
    made_us = message.request_time.seconds * 1_000_000 + message.request_time.nanos // 1_000
    return message.entities.get(entity) == key and (until_us is None or made_us <= until_us)
