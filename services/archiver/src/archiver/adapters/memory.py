"""A lake in memory, for tests."""

from collections.abc import Collection, Mapping

import pyarrow as pa

from archiver.domain.positions import advanced, new_rows
from archiver.domain.tables import LakeTable, conform, new_columns


class MemoryLake:
    """Keeps tables in a dictionary; `tables` may be read freely."""

    def __init__(self) -> None:
        self.tables: dict[str, pa.Table] = {}
        self._positions: dict[str, dict[int, int]] = {}
        self._before: dict[str, dict[int, int]] = {}

    def prepare(self, table: LakeTable) -> None:
        """Create the table, or add the columns it lacks."""
        kept = self.tables.setdefault(table.path, table.schema.empty_table())
        added = new_columns(kept.schema, table.schema, table.path)
        if added:
            schema = pa.schema([*kept.schema, *added])
            self.tables[table.path] = conform(kept, schema)

    def resume_from(self, table: LakeTable, partitions: Collection[int]) -> Mapping[int, int]:
        """The positions before the last append."""
        before = self._before.get(table.path, {})
        return {partition: before.get(partition, 0) for partition in partitions}

    def append(self, table: LakeTable, rows: pa.Table, reached: Mapping[int, int]) -> int:
        """Append what is new."""
        self.prepare(table)
        positions = self._positions.setdefault(table.path, {})
        fresh = new_rows(rows, positions)
        kept = self.tables[table.path]
        self.tables[table.path] = pa.concat_tables([kept, conform(fresh, kept.schema)])
        moves = advanced(positions, reached)
        self._before.setdefault(table.path, {}).update({p: positions.get(p, 0) for p in moves})
        positions.update(moves)
        return int(fresh.num_rows)
