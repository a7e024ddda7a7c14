"""Columns by which one row is looked up: their files say which values they cannot hold.

A Bloom filter of a row group tells a reader that an id is not in it, for about ten bits a row: an answer to
"which prediction was this" then reads the few row groups that may hold it. Values of such columns are unlike
each other, so a dictionary of them would be work for nothing. See docs/adr/0035-finding-a-prediction.md.
"""

from collections.abc import Sequence
from typing import Any, Final

from deltalake import BloomFilterProperties, ColumnProperties, WriterProperties

LOOKED_UP: Final = ("prediction_id",)
MOST_GROUP_ROWS: Final = 65_536
"""Rows of a row group: what is read at once, and what a filter is sized for."""
_FALSE_POSITIVES: Final = 0.01


def looked_up(columns: Sequence[str]) -> list[str]:
    """Which of the columns rows are looked up by."""
    return [name for name in LOOKED_UP if name in columns]


def writer_properties(columns: Sequence[str], rows: int) -> WriterProperties:
    """How delta-rs writes a file of so many rows."""
    group_rows = min(max(rows, 1), MOST_GROUP_ROWS)
    bloom = BloomFilterProperties(set_bloom_filter_enabled=True, fpp=_FALSE_POSITIVES, ndv=group_rows)
    indexed = ColumnProperties(dictionary_enabled=False, bloom_filter_properties=bloom)
    return WriterProperties(
        compression="ZSTD",
        max_row_group_size=MOST_GROUP_ROWS,
        column_properties=dict.fromkeys(looked_up(columns), indexed),
    )


def parquet_options(columns: Sequence[str], rows: int) -> dict[str, Any]:
    """The same for pyarrow's writer."""
    chosen = looked_up(columns)
    group_rows = min(max(rows, 1), MOST_GROUP_ROWS)
    return {
        "compression": "zstd",
        "bloom_filter_options": {name: {"ndv": group_rows, "fpp": _FALSE_POSITIVES} for name in chosen}
        or None,
        "use_dictionary": [name for name in columns if name not in chosen],
    }
