"""Rows of a source's table, some at a time: the port through which days are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import polars as pl
import pyarrow as pa
from feature_store.events import EventBatch, arrow_schema, from_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from feature_store import Source
    from numpy.typing import NDArray

_OFFSET_BITS: Final = 48


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some rows.

    Attributes:
        events: As expressions read them; a field that the table lacks is null in every row.
        frame: As the table has them.
    """

    events: EventBatch
    frame: pl.DataFrame

    @classmethod
    def of(cls, source: Source, rows: pa.Table) -> Chunk:
        """Make a chunk of rows of a source's table."""
        wanted = arrow_schema(source)
        whole = [
            rows.column(one.name)
            if one.name in rows.schema.names and _fits(rows.schema.field(one.name).type, one.type)
            else pa.nulls(rows.num_rows, one.type)
            for one in wanted
        ]
        frame = pl.from_arrow(rows)
        assert isinstance(frame, pl.DataFrame)
        return cls(from_arrow(source, pa.table(whole, schema=wanted)), frame)

    def __len__(self) -> int:
        return len(self.events)

    @property
    def positions(self) -> NDArray[np.int64]:
        """Each row's partition and offset in one number, which orders them: int64[n]."""
        return self.events.partition.astype(np.int64) << _OFFSET_BITS | self.events.offset


def place(position: int) -> tuple[int, int]:
    """Return the partition and the offset in one of `Chunk.positions`."""
    return int(position) >> _OFFSET_BITS, int(position) & ((1 << _OFFSET_BITS) - 1)


def _fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    return bool(found == wanted or (pa.types.is_large_string(found) and pa.types.is_string(wanted)))


class History(Protocol):
    """Events by event time, as they were known by a moment."""

    def chunks(self, source: Source, from_us: int, to_us: int, known_by_us: int) -> Iterator[Chunk]:
        """Yield the rows with an event time in [from, to) that were recorded before `known_by_us`.

        Raises:
            DatasetError: there is no such table, or it cannot be read.
        """

    def newest_recorded_us(self, source: Source, after_us: int) -> int | None:
        """Return a recorded time of `after_us` or later that the table holds; None if it holds none."""
