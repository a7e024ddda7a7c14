"""Which records of a range are new to a table, by its positions."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa


def advanced(positions: Mapping[int, int], reached: Mapping[int, int]) -> dict[int, int]:
    """The partitions that would move forward, and to where."""
    return {
        partition: offset for partition, offset in reached.items() if offset > positions.get(partition, 0)
    }


def new_rows(rows: pa.Table, positions: Mapping[int, int]) -> pa.Table:
    """The rows at or above their partition's position, in order."""
    partitions = rows.column("_partition").to_numpy()
    offsets = rows.column("_offset").to_numpy()
    new = np.ones(len(offsets), dtype=bool)
    for partition, position in positions.items():
        new &= (partitions != partition) | (offsets >= position)
    return rows if new.all() else rows.filter(pa.array(new))


def fallen_back(known: Mapping[int, int], positions: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """The partitions whose position is behind what was known of it: partition -> (known, found)."""
    return {
        partition: (offset, positions.get(partition, 0))
        for partition, offset in known.items()
        if positions.get(partition, 0) < offset
    }
