"""Reads events from the Delta tables that the archiver keeps."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from feature_store import EventBatch, Source
from feature_store.events import arrow_schema, from_arrow

from trainer.domain.datasets import TableVersion
from trainer.domain.errors import EmptyLake, MissingColumn, UnreadableTable
from trainer.ports import SourceEvents


class DeltaEvents:
    """The lake's source tables below `uri`."""

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")

    def read(self, source: Source, until_us: int) -> SourceEvents:
        """See `EventLake.read`."""
        location = f"{self._uri}/sources/{source.topic}"
        try:
            table = DeltaTable(location)
            rows = _rows(table, source, location, until_us)
        except TableNotFoundError:
            raise EmptyLake(
                f"the lake has no table {location}: check LAKE_URI, and that the archiver runs with this "
                "project"
            ) from None
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise UnreadableTable(
                f"lake table {location} cannot be read: {error}; if a file is gone or damaged, delete the "
                "table, and the archiver reads its topic again"
            ) from error
        if not rows.num_rows:
            raise EmptyLake(
                f"lake table {location} (version {table.version()}) holds no event recorded by --until: let "
                "the archiver catch up, or choose a later --until"
            )
        batch = from_arrow(source, rows)
        return SourceEvents(batch, TableVersion(table.version(), _next_offsets(batch), len(batch)))


def _rows(table: DeltaTable, source: Source, location: str, until_us: int) -> pa.Table:
    rows = table.to_pyarrow_dataset()
    wanted = arrow_schema(source).names
    missing = [name for name in wanted if name not in rows.schema.names]
    if missing:
        raise MissingColumn(
            f"lake table {location} has no column {', '.join(missing)}, which the project's source "
            f"{source.topic} declares: start the archiver with this project, which adds new columns"
        )
    until = pa.scalar(until_us, pa.timestamp("us", tz="UTC"))
    return rows.to_table(columns=wanted, filter=ds.field("_recorded_time") <= until)


def _next_offsets(batch: EventBatch) -> dict[int, int]:
    return {
        int(partition): int(batch.offset[batch.partition == partition].max()) + 1
        for partition in np.unique(batch.partition)
    }
