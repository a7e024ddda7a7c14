"""State in Redis or Valkey, one node or a cluster: a hash a partition, and one for the diaries.

A partition's sketches and the offset they reach are in one hash and are written by one script, so either both
are there or neither, whoever dies when.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from bus.errors import Unavailable
from bus.watermarks import Watermark
from redis.exceptions import RedisClusterException, RedisError

from drift_detector.adapters import codec
from drift_detector.domain.sums import Summable
from drift_detector.ports import Held, Member, Piece

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bus.positions import TopicPartition
    from redis.asyncio import Redis, RedisCluster

    from drift_detector.domain.diaries import Diary
    from drift_detector.domain.shares import Crowd
    from drift_detector.domain.windows import Place

Sketch = TypeVar("Sketch", bound=Summable)
# Sent as text and not by hash: a server that restarted or failed over knows no hashes.
_SAVE: Final = files(__package__).joinpath("save.lua").read_text()
_MARK: Final = b"@"
_FLOOR: Final = b"^"
_SKETCH: Final = b"s|"
_PIECE: Final = b"i|"
_NAMES_A_CALL: Final = 200


class RedisShares(Generic[Sketch]):
    """`Shares` of one topic.

    Args:
        write: From a sketch to bytes.
        read: And back.
        keep_ms: A hash nobody writes to lives so long, in real time.
    """

    def __init__(
        self,
        client: Redis | RedisCluster,
        prefix: str,
        *,
        write: Callable[[Sketch], bytes],
        read: Callable[[bytes], Sketch],
        keep_ms: int,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._write = write
        self._read = read
        self._keep_ms = keep_ms

    async def marks(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Watermark]:
        """See `Shares.marks`."""
        if not partitions:
            return {}
        pipeline = self._client.pipeline(transaction=False)
        for where in partitions:
            pipeline.hget(self._key(where), _MARK)
        with unavailable():
            found: list[bytes | None] = await pipeline.execute()
        return {where: _mark_of(content) for where, content in zip(partitions, found, strict=True) if content}

    async def held(self, where: TopicPartition) -> Held:
        """See `Shares.held`."""
        with unavailable():
            names: list[Any] = await self._client.hkeys(self._key(where))
            mark, floor = await self._client.hmget(self._key(where), [_MARK, _FLOOR])
        crowds: dict[Crowd, int] = {}
        for piece in (codec.piece_of(name) for name in names if name.startswith(_PIECE)):
            crowds[piece.crowd] = max(crowds.get(piece.crowd, 0), piece.number + 1)
        places = {codec.place_of(name) for name in names if name.startswith(_SKETCH)}
        return Held(_mark_of(mark) if mark else Watermark(0), int(floor or 0), places, crowds)

    async def sketches(self, where: TopicPartition, places: Sequence[Place]) -> Mapping[Place, Sketch]:
        """See `Shares.sketches`."""
        found = await self._fields(where, [codec.place_name(place) for place in places])
        return {place: self._read(content) for place, content in zip(places, found, strict=True) if content}

    async def logs(self, where: TopicPartition, pieces: Sequence[Piece]) -> Mapping[Piece, list[Member]]:
        """See `Shares.logs`."""
        found = await self._fields(where, [codec.piece_name(piece) for piece in pieces])
        return {
            piece: codec.members_of(content) for piece, content in zip(pieces, found, strict=True) if content
        }

    async def save(
        self,
        where: TopicPartition,
        expected: int,
        mark: Watermark,
        sketches: Mapping[Place, Sketch],
        logs: Mapping[Piece, list[Member]],
    ) -> bool:
        """See `Shares.save`."""
        fields: list[bytes] = []
        for place, sketch in sketches.items():
            fields += [codec.place_name(place), self._write(sketch)]
        for piece, members in logs.items():
            fields += [codec.piece_name(piece), codec.members_bytes(members)]
        moved = f"{mark.next_offset} {mark.event_us}"
        with unavailable():
            reply: Any = await self._client.execute_command(
                "EVAL", _SAVE, 1, self._key(where), expected, self._keep_ms, moved, *fields
            )
        return bool(reply)

    async def forget(self, where: TopicPartition, before_us: int) -> None:
        """See `Shares.forget`."""
        key = self._key(where)
        with unavailable():
            names: list[Any] = await self._client.hkeys(key)
            gone = [
                name for name in names if name[:2] in {_SKETCH, _PIECE} and codec.grain_of(name) < before_us
            ]
            if not gone:
                return
            await self._client.hset(key, _FLOOR, before_us)
            for begin in range(0, len(gone), _NAMES_A_CALL):
                await self._client.hdel(key, *gone[begin : begin + _NAMES_A_CALL])

    async def _fields(self, where: TopicPartition, names: Sequence[bytes]) -> list[Any]:
        found: list[Any] = []
        for begin in range(0, len(names), _NAMES_A_CALL):
            with unavailable():
                found += await self._client.hmget(self._key(where), names[begin : begin + _NAMES_A_CALL])
        return found

    def _key(self, where: TopicPartition) -> str:
        return f"{self._prefix}:share:{where.partition}:{where.topic}"


class RedisDiaries:
    """`Diaries` in one hash."""

    def __init__(self, client: Redis | RedisCluster, prefix: str) -> None:
        self._client = client
        self._key = f"{prefix}:diaries"

    async def read(self, model: str) -> Diary | None:
        """See `Diaries.read`."""
        with unavailable():
            found: Any = await self._client.hget(self._key, model)
        return None if found is None else codec.diary_of(found)

    async def write(self, model: str, diary: Diary) -> None:
        """See `Diaries.write`."""
        with unavailable():
            await self._client.hset(self._key, model, codec.diary_bytes(diary))


def _mark_of(content: bytes | str) -> Watermark:
    offset, event_us = content.split()
    return Watermark(int(offset), 0, int(event_us))


@contextmanager
def unavailable() -> Iterator[None]:
    """Say in the bus's words that the state is away."""
    try:
        yield
    except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
        raise Unavailable(
            f"the detector's state does not answer: {error!r}; is Redis up and REDIS_URL right?"
        ) from error
