"""The lake's list of tables that hold scores: by it an erasure finds them, wherever they lie.

It is a Delta table, `score_tables` below the lake, a row a table, appended before the first score is written.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from pyarrow import fs
from training_sets.locations import uri_of

from batch_scoring.errors import UnwritableList, cause_of

if TYPE_CHECKING:
    from batch_scoring.job import Job

PATH: Final = "score_tables"
_SCHEMA: Final = pa.schema([("table", pa.string()), ("job", pa.string()), ("model", pa.string())])


class ScoreTables:
    """The list of one lake.

    Args:
        lake: The lake's URI.
    """

    def __init__(self, lake: str) -> None:
        self._lake = lake.rstrip("/")
        self._uri = f"{self._lake}/{PATH}"

    @property
    def has_lake(self) -> bool:
        """Whether there is a lake to keep the list in."""
        try:
            files, root = fs.FileSystem.from_uri(uri_of(self._lake))
            return files.get_file_info(root).type is fs.FileType.Directory
        except (OSError, pa.ArrowException):
            return False

    def add(self, table: str, job: Job) -> None:
        """Note a table; doing it again changes nothing.

        Args:
            table: Its URI, or absolute path.
            job: Whose scores it holds.

        Raises:
            UnwritableList: the lake cannot be written to.
        """
        # One table, one application: whoever notes it a second time finds that it has been noted.
        told = hashlib.sha256(f"{table}\0{job.id}".encode()).hexdigest()
        row = {"table": [table], "job": [job.id], "model": [str(job.asked["model"])]}
        try:
            listed = self._open()
            if listed is not None and listed.transaction_version(told) is not None:
                return
            write_deltalake(
                self._uri if listed is None else listed,
                pa.table(row, _SCHEMA),
                mode="append",
                commit_properties=CommitProperties(app_transactions=[Transaction(told, 1)]),
            )
        except Exception as error:  # delta-rs raises bare Exception beside its own classes
            raise UnwritableList(
                f"the list of score tables, {self._uri}, cannot be written: {cause_of(error)}; an erasure "
                "finds tables by it. Make the lake writable, or write --unlisted and name the table to "
                "`tidemark forget`"
            ) from error

    def tables(self) -> list[str]:
        """Return the tables that were noted, each once, by name.

        Raises:
            DeltaError: the list cannot be read.
        """
        listed = self._open()
        if listed is None:
            return []
        return sorted(set(listed.to_pyarrow_table(columns=["table"])["table"].to_pylist()))

    def _open(self) -> DeltaTable | None:
        return DeltaTable(self._uri) if DeltaTable.is_deltatable(self._uri) else None
