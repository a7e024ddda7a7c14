"""Keeps a Delta table quick to open and to read, however often it is appended to."""

from dataclasses import dataclass

from deltalake import DeltaTable


@dataclass(frozen=True, slots=True)
class Upkeep:
    """How a table is kept tidy; none of it changes which rows or positions the table holds.

    Attributes:
        checkpoint_every_commits: The log is summed up this often; a checkpoint carries the positions along,
            so that expired log files can go without losing them.
        compact_after_files: Small files a table may gather before they are joined.
        small_file_bytes: Files below this are small; joining stops there, which bounds how often a row is
            rewritten.
        vacuum_every_compactions: How often files that no version within `history_days` needs are deleted.
        history_days: How long any version of a table can be read.
    """

    checkpoint_every_commits: int = 50
    compact_after_files: int = 64
    small_file_bytes: int = 32 * 1024 * 1024
    vacuum_every_compactions: int = 20
    history_days: int = 30

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

        Another writer may do the same at once: Delta refuses the later compaction, which then has no effect.
        """
        if (
            len(table.file_uris()) < self.compact_after_files
            or self._small_files(table) < self.compact_after_files
        ):
            return compactions
        table.optimize.compact(target_size=self.small_file_bytes, max_concurrent_tasks=1)
        compactions += 1
        if compactions % self.vacuum_every_compactions == 0:
            table.vacuum(dry_run=False)
        return compactions

    def _small_files(self, table: DeltaTable) -> int:
        sizes = table.get_add_actions(flatten=True).column("size_bytes").to_numpy()
        return int((sizes < self.small_file_bytes).sum())
