"""The months that a table's files are kept apart by: why months is in docs/adr/0019-lake-layout.md."""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

MONTH: Final = pa.field("_event_month", pa.date32())
"""The first day of the month, UTC, of a row's `_event_time`; it is in no file, only in its folder's name."""

_EVENT_TIME: Final = "_event_time"


def partition_columns(schema: pa.Schema) -> list[str]:
    """The columns that a new table of these columns is partitioned by: none where rows have no event time."""
    return [MONTH.name] if _EVENT_TIME in schema.names else []


def with_month(rows: pa.Table) -> pa.Table:
    """The rows with the month of each, where they have an event time."""
    if _EVENT_TIME not in rows.column_names:
        return rows
    month = pc.floor_temporal(rows.column(_EVENT_TIME), unit="month").cast(MONTH.type)
    return rows.append_column(MONTH, month)
