"""What the archiver needs of the outside world."""

from collections.abc import Collection, Mapping
from typing import Protocol

import pyarrow as pa

from archiver.domain.tables import LakeTable


class LakeUnavailable(Exception):
    """The lake cannot be read or written now; what failed has no effect and may be tried again."""


class TableRewound(Exception):
    """A table lost rows that this process knows it had: going on would leave a hole."""


class Lake(Protocol):
    """Tables that know, in their own log, up to which offset they hold each partition.

    A position is the offset after the last record dealt with.
    """

    def prepare(self, table: LakeTable) -> None:
        """Create the table if it is not there, and give it the columns it lacks.

        Raises:
            SchemaError: a column exists with another type.
            LakeUnavailable: the lake cannot be reached.
        """

    def resume_from(self, table: LakeTable, partitions: Collection[int]) -> Mapping[int, int]:
        """Of each partition, the offset to read from: the position before the last append; 0 when unknown.

        The last batch is read once more because what it did beside the lake, such as dead letters, may not
        have happened; its rows are skipped.

        Raises:
            LakeUnavailable: the lake cannot be reached.
        """

    def append(self, table: LakeTable, rows: pa.Table, reached: Mapping[int, int]) -> int:
        """Append the rows the table does not have yet, atomically with the new positions.

        Rows below their partition's position are in the table already and are skipped, whoever wrote them:
        any number of writers may offer overlapping ranges, and every record is kept once.

        Args:
            table: A prepared table.
            rows: Rows of the table's schema, offsets ascending within a partition.
            reached: By partition, the offset after the last one dealt with, kept as a row or not.

        Returns:
            How many rows were appended.

        Raises:
            LakeUnavailable: nothing was appended; the same call may be repeated.
            TableRewound: the table has gone back behind what this process wrote or read.
            SchemaError: another process gave the table a column of another type.
        """
