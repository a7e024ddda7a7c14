"""Keeps a Delta table quick to open and to read, however often it is appended to."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bus.clocks import wall_clock_us
from deltalake import DeltaTable

from archiver.adapters.compaction import SmallFile, join_files, small_files

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """How a table is kept tidy; none of it changes which rows or positions the table holds.

    Attributes:
        checkpoint_every_commits: The log is summed up this often; a checkpoint carries the positions along,
            so that expired log files can go without losing them.
        compact_after_files: Small files the newest month may gather before the smaller half is joined.
        compact_older_after_files: As many in a month before it, which only late events still reach, are all
            joined.
        small_file_bytes: Files below this are small.
        vacuum_every_compactions: How often files that no version within `history_days` needs are deleted.
        history_days: How long any version of a table can be read.
        clock_us: Stamps removed files, for the vacuum.
    """

    checkpoint_every_commits: int = 50
    compact_after_files: int = 64
    compact_older_after_files: int = 8
    small_file_bytes: int = 32 * 1024 * 1024
    vacuum_every_compactions: int = 20
    history_days: int = 7
    clock_us: Callable[[], int] = field(default=wall_clock_us)

    def configuration(self) -> dict[str, str | None]:
        """Table properties that any Delta writer keeps to."""
        return {
            "delta.appendOnly": "true",
            "delta.checkpointInterval": str(self.checkpoint_every_commits),
            "delta.logRetentionDuration": f"interval {self.history_days} days",
            "delta.deletedFileRetentionDuration": f"interval {self.history_days} days",
        }

    def differing(self, table: DeltaTable) -> dict[str, str]:
        """The retentions that a table has otherwise: it was made with other settings."""
        found, wanted = table.metadata().configuration, self.configuration()
        return {
            name: value
            for name, value in wanted.items()
            if value and name.endswith("RetentionDuration") and found.get(name) != value
        }

    def tidy(self, table: DeltaTable, compactions: int) -> int:
        """Join small files of one month where there are many, vacuum now and then; return the compactions.

        Joining the smaller half alone keeps a row from being rewritten more than a few times while its month
        grows. Months are looked at when the table as a whole has many files.

        Raises:
            CommitFailedError: another process did the same; this one changed nothing.
        """
        if len(table.file_uris()) < self.compact_after_files:
            return compactions
        due = self._due(small_files(table, self.small_file_bytes))
        if not due:
            return compactions
        join_files(table, max(due, key=len), now_ms=self.clock_us() // 1000)
        compactions += 1
        if compactions % self.vacuum_every_compactions == 0:
            self._vacuum(table)
        return compactions

    def _due(self, by_month: list[list[SmallFile]]) -> list[list[SmallFile]]:
        older = [files for files in by_month[:-1] if len(files) >= self.compact_older_after_files]
        newest = [
            files[: len(files) // 2] for files in by_month[-1:] if len(files) >= self.compact_after_files
        ]
        return [*older, *newest]

    def _vacuum(self, table: DeltaTable) -> None:
        table.update_incremental()
        gone = table.vacuum(dry_run=False, full=True)  # what a killed writer left is in no log
        if gone:
            told = (table.table_uri, len(gone), self.history_days)
            _LOG.info("%s: deleted %d files that no version of %d days needs", *told)
