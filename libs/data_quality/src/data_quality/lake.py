"""The lake's tables of sources, read a day and some rows at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake.exceptions import DeltaError
from feature_store.events import arrow_schema
from training_sets.errors import UnreadableTable
from training_sets.lake import open_table

from data_quality.chunks import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deltalake import DeltaTable
    from feature_store import Source

_ROWS: Final = 65_536
_AHEAD: Final = 1  # batches and files that are read ahead: what a scan holds at once is a few row groups
_TIME: Final = pa.timestamp("us", tz="UTC")


class DeltaHistory:
    """`History` in the Delta tables that the archiver keeps below `uri`, each at one version throughout."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._tables: dict[str, DeltaTable] = {}

    def chunks(self, source: Source, from_us: int, to_us: int, known_by_us: int) -> Iterator[Chunk]:
        """See `History.chunks`."""
        wanted = (
            (ds.field("_event_time") >= _time(from_us))
            & (ds.field("_event_time") < _time(to_us))
            & (ds.field("_recorded_time") < _time(known_by_us))
        )
        for rows in self._scan(source, arrow_schema(source).names, wanted):
            if rows.num_rows:
                yield Chunk.of(source, pa.Table.from_batches([rows]))

    def newest_recorded_us(self, source: Source, after_us: int) -> int | None:
        """See `History.newest_recorded_us`."""
        for rows in self._scan(source, ["_recorded_time"], ds.field("_recorded_time") >= _time(after_us)):
            if rows.num_rows:
                return int(rows.column(0).cast(pa.int64()).to_numpy().max())
        return None

    def _scan(self, source: Source, columns: list[str], wanted: ds.Expression) -> Iterator[pa.RecordBatch]:
        table = self._tables.get(source.topic)
        if table is None:
            table = self._tables[source.topic] = open_table(self._uri, source)
        try:
            rows = table.to_pyarrow_dataset()
            there = [name for name in columns if name in rows.schema.names]
            yield from rows.to_batches(
                columns=there,
                filter=wanted,
                batch_size=_ROWS,
                batch_readahead=_AHEAD,
                fragment_readahead=_AHEAD,
            )
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise UnreadableTable(
                f"lake table of {source.topic} cannot be read: {error}; if a file is gone or damaged, delete "
                "the table, and the archiver reads its topic again"
            ) from error


def _time(time_us: int) -> pa.Scalar:
    return pa.scalar(time_us, _TIME)
