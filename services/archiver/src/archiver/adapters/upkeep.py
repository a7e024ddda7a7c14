"""Keeps a Delta table quick to open and to read, however often it is appended to."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bus.clocks import wall_clock_us
from deltalake import DeltaTable

from archiver.adapters.compaction import join_files, small_files


@dataclass(frozen=True, slots=True)
class Upkeep:
    """How a table is kept tidy; none of it changes which rows or positions the table holds.

    Attributes:
        checkpoint_every_commits: The log is summed up this often; a checkpoint carries the positions along,
            so that expired log files can go without losing them.
        compact_after_files: Small files a table may gather before the smaller half of them is joined.
        small_file_bytes: Files below this are small.
        vacuum_every_compactions: How often files that no version within `history_days` needs are deleted.
        history_days: How long any version of a table can be read.
        clock_us: Stamps removed files, for the vacuum.
    """

    checkpoint_every_commits: int = 50
    compact_after_files: int = 64
    small_file_bytes: int = 32 * 1024 * 1024
    vacuum_every_compactions: int = 20
    history_days: int = 30
    clock_us: Callable[[], int] = field(default=wall_clock_us)

    def configuration(self) -> dict[str, str | None]:
        """Table properties that any Delta writer keeps to."""
        return {
            "delta.appendOnly": "true",
            "delta.checkpointInterval": str(self.checkpoint_every_commits),
            "delta.logRetentionDuration": f"interval {self.history_days} days",
            "delta.deletedFileRetentionDuration": f"interval {self.history_days} days",
        }

    def tidy(self, table: DeltaTable, compactions: int) -> int:
        """Join small files when there are many, vacuum now and then; return the compactions so far.

        Joining the smaller half alone keeps a row from being rewritten more than a few times.

        Raises:
            CommitFailedError: another process did the same; this one changed nothing.
        """
        if len(table.file_uris()) < self.compact_after_files:
            return compactions
        small = small_files(table, self.small_file_bytes)
        if len(small) < self.compact_after_files:
            return compactions
        join_files(table, small[: len(small) // 2], now_ms=self.clock_us() // 1000)
        compactions += 1
        if compactions % self.vacuum_every_compactions == 0:
            table.update_incremental()
            table.vacuum(dry_run=False, full=True)  # what a killed writer left is in no log
        return compactions
