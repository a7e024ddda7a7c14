"""State in memory, for tests of everything above it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from bus.watermarks import Watermark

from drift_detector.adapters import codec
from drift_detector.domain.sums import Summable
from drift_detector.ports import Held, Member, Piece

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.positions import TopicPartition

    from drift_detector.domain.diaries import Diary
    from drift_detector.domain.shares import Crowd
    from drift_detector.domain.windows import Place

Sketch = TypeVar("Sketch", bound=Summable)


@dataclass
class _Hash(Generic[Sketch]):
    mark: Watermark | None = None
    floor_us: int = 0
    sketches: dict[Place, Sketch] = field(default_factory=dict)
    logs: dict[Piece, list[Member]] = field(default_factory=dict)


class MemoryShares(Generic[Sketch]):
    """`Shares` in a dictionary."""

    def __init__(self) -> None:
        self._hashes: dict[TopicPartition, _Hash[Sketch]] = {}

    async def marks(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Watermark]:
        """See `Shares.marks`."""
        found = {where: self._hash(where).mark for where in partitions}
        return {where: mark for where, mark in found.items() if mark is not None}

    async def held(self, where: TopicPartition) -> Held:
        """See `Shares.held`."""
        kept = self._hash(where)
        crowds: dict[Crowd, int] = {}
        for piece in kept.logs:
            crowds[piece.crowd] = max(crowds.get(piece.crowd, 0), piece.number + 1)
        return Held(kept.mark or Watermark(0), kept.floor_us, set(kept.sketches), crowds)

    async def sketches(self, where: TopicPartition, places: Sequence[Place]) -> Mapping[Place, Sketch]:
        """See `Shares.sketches`."""
        kept = self._hash(where).sketches
        return {place: kept[place] for place in places if place in kept}

    async def logs(self, where: TopicPartition, pieces: Sequence[Piece]) -> Mapping[Piece, list[Member]]:
        """See `Shares.logs`."""
        kept = self._hash(where).logs
        return {piece: list(kept[piece]) for piece in pieces if piece in kept}

    async def save(
        self,
        where: TopicPartition,
        expected: int,
        mark: Watermark,
        sketches: Mapping[Place, Sketch],
        logs: Mapping[Piece, list[Member]],
    ) -> bool:
        """See `Shares.save`."""
        kept = self._hash(where)
        if (0 if kept.mark is None else kept.mark.next_offset) != expected:
            return False
        kept.mark = mark
        kept.sketches.update(sketches)
        kept.logs.update({piece: list(members) for piece, members in logs.items()})
        return True

    async def forget(self, where: TopicPartition, before_us: int) -> None:
        """See `Shares.forget`."""
        kept = self._hash(where)
        gone = [place for place in kept.sketches if place.grain_us < before_us]
        pieces = [piece for piece in kept.logs if piece.crowd.grain_us < before_us]
        if gone or pieces:
            kept.floor_us = before_us
        for place in gone:
            del kept.sketches[place]
        for piece in pieces:
            del kept.logs[piece]

    def _hash(self, where: TopicPartition) -> _Hash[Sketch]:
        return self._hashes.setdefault(where, _Hash())


class MemoryDiaries:
    """`Diaries` in a dictionary; what is read is a copy, as from anywhere else."""

    def __init__(self) -> None:
        self._diaries: dict[str, bytes] = {}

    async def read(self, model: str) -> Diary | None:
        """See `Diaries.read`."""
        return codec.diary_of(self._diaries[model]) if model in self._diaries else None

    async def write(self, model: str, diary: Diary) -> None:
        """See `Diaries.write`."""
        self._diaries[model] = codec.diary_bytes(diary)
