"""Packed rows: one view's state of one entity as bytes, as `docs/formats.md` specifies them.

A row is a whole number of little-endian 64-bit words, so many rows of one view are a matrix: `stack` and
`unstack` are copies, and nothing is parsed. Word 0 holds the magic, the format version and the number of
partitions; word 1 the view's hash; then revision, recorded watermark, newest event time, the last offset
applied by partition, and the tiles.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from feature_store.tiles import EMPTY_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAGIC: Final = b"TM"
FORMAT_VERSION: Final = 1
HASH_BYTES: Final = 8
ROWS: Final = "tm:f:"
"""What the key of every row begins with."""
VERSION_DIGITS: Final = 8
WORD_BYTES: Final = 8
WORD: Final = np.dtype("<i8")
NOTHING_APPLIED: Final = -1
"""The last offset applied of a partition of which nothing was."""

REVISION: Final = 2
RECORDED: Final = 3
NEWEST: Final = 4
APPLIED: Final = 5
"""The word at which the offsets applied begin; the tiles follow them."""

REVISION_BYTES: Final = slice(REVISION * WORD_BYTES, (REVISION + 1) * WORD_BYTES)
_PREFIX: Final = struct.Struct("<2sHI8s")


def version_of(digest: bytes) -> str:
    """Return how a version of a view is called in keys: the first 8 hex digits of the view's digest."""
    return digest.hex()[:VERSION_DIGITS]


def key_prefix(view: str, digest: bytes) -> bytes:
    """Return what the row keys of one version of a view begin with; the entity's key, in UTF-8, follows."""
    return f"{ROWS}{view}:{version_of(digest)}:".encode()


def row_key(view: str, digest: bytes, entity: str) -> bytes:
    """Return the key under which a version of a view keeps an entity's row. The empty entity has no row."""
    return key_prefix(view, digest) + entity.encode()


def revision_of(row: bytes | None) -> bytes:
    """Return a stored row's revision as compare-and-set wants it: 8 bytes, or none where there is no row."""
    return row[REVISION_BYTES] if row is not None else b""


@dataclass(frozen=True)
class RowLayout:
    """Where everything is in a row of one view.

    Attributes:
        view_hash: The first 8 bytes of the view's definition hash.
        initial: The words of the tiles of a row without events.
        partitions: Number of partitions of the view's source that the row has room for.
    """

    view_hash: bytes
    initial: NDArray[np.int64]
    partitions: int

    @cached_property
    def prefix(self) -> bytes:
        """The first two words of every row of this layout."""
        return _PREFIX.pack(MAGIC, FORMAT_VERSION, self.partitions, self.view_hash)

    @cached_property
    def tiles(self) -> int:
        """The word at which the tiles begin."""
        return APPLIED + self.partitions

    @cached_property
    def words(self) -> int:
        """Length of a row in words."""
        return self.tiles + len(self.initial)

    @cached_property
    def size(self) -> int:
        """Length of a row in bytes."""
        return self.words * WORD_BYTES

    @cached_property
    def empty(self) -> NDArray[np.int64]:
        """The row of an entity without events: what a missing row stands for."""
        row = np.zeros(self.words, WORD)
        row[:REVISION] = np.frombuffer(self.prefix, WORD)
        row[RECORDED] = EMPTY_US
        row[NEWEST] = EMPTY_US
        row[APPLIED : self.tiles] = NOTHING_APPLIED
        row[self.tiles :] = self.initial
        return row

    def partitions_of(self, row: bytes) -> int | None:
        """Return how many partitions a row of the same view was laid out for, or None if it is unreadable.

        Unreadable: another magic, a version this code does not know, another definition of the view, or a
            wrong length.
        """
        if len(row) < _PREFIX.size:
            return None
        magic, version, partitions, view_hash = _PREFIX.unpack_from(row)
        if (magic, version, view_hash) != (MAGIC, FORMAT_VERSION, self.view_hash):
            return None
        return partitions if len(row) == self.with_partitions(partitions).size else None

    def stack(self, rows: Sequence[bytes]) -> NDArray[np.int64]:
        """Return rows of this layout as a read-only matrix, int64[n, words]."""
        return np.frombuffer(b"".join(rows), WORD).reshape(-1, self.words)

    def unstack(self, matrix: NDArray[np.int64]) -> list[bytes]:
        """Return the rows of a matrix as bytes."""
        packed, size = matrix.tobytes(), self.size
        return [packed[start : start + size] for start in range(0, len(packed), size)]

    def with_partitions(self, partitions: int) -> RowLayout:
        """Return the layout of the same view for another number of partitions."""
        return self if partitions == self.partitions else RowLayout(self.view_hash, self.initial, partitions)

    def widen(self, matrix: NDArray[np.int64], partitions: int) -> NDArray[np.int64]:
        """Return rows of this layout laid out for more partitions, of which nothing was applied."""
        if partitions == self.partitions:
            return matrix
        wider = self.with_partitions(partitions)
        widened = np.tile(wider.empty, (len(matrix), 1))
        widened[:, REVISION : self.tiles] = matrix[:, REVISION : self.tiles]
        widened[:, wider.tiles :] = matrix[:, self.tiles :]
        return widened

    def decode(self, stored: Sequence[bytes | None]) -> tuple[RowLayout, NDArray[np.int64]]:
        """Return stored rows as int64[n, words], and its layout: this one, or a wider one if a row needs it.

        No row and an unreadable one are both empty rows.
        """
        readable = [(index, row) for index, row in enumerate(stored) if row is not None]
        laid_out: dict[int, list[tuple[int, bytes]]] = {}
        for index, row in readable:
            fits = row.startswith(self.prefix) and len(row) == self.size
            partitions = self.partitions if fits else self.partitions_of(row)
            if partitions is not None:
                laid_out.setdefault(partitions, []).append((index, row))
        layout = self.with_partitions(max((self.partitions, *laid_out)))
        matrix = np.tile(layout.empty, (len(stored), 1))
        for partitions, rows in laid_out.items():
            narrow = self.with_partitions(partitions)
            stacked = narrow.stack([row for _, row in rows])
            matrix[[index for index, _ in rows]] = narrow.widen(stacked, layout.partitions)
        return layout, matrix
