"""Where scores go: a Delta table that knows which job made it and how many rows of the input it has."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Schema,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError
from training_sets.locations import uri_of

from batch_scoring.errors import OtherOutput, OutputInUse, UnwritableOutput, cause_of
from batch_scoring.job import Job

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

# No two prediction ids are alike: a dictionary of them is work for nothing.
_WRITER: Final = WriterProperties(
    compression="ZSTD",
    compression_level=1,
    column_properties={"prediction_id": ColumnProperties(dictionary_enabled=False)},
)
_LOG: Final = logging.getLogger(__name__)


class Output(Protocol):
    """Keeps the rows of one job, each once, in order."""

    def look(self) -> tuple[Job, int] | None:
        """Return the job that is there and how many rows of its input are; None where nothing is.

        Raises:
            OtherOutput: something is that no job made.
        """

    def begin(self, job: Job, schema: pa.Schema) -> None:
        """Make the place for a job's rows, empty.

        Raises:
            OutputInUse: another run was first.
        """

    def append(self, rows: pa.Table, reached: int) -> None:
        """Add rows, and note how many of the input there are then: both or neither.

        Raises:
            OutputInUse: another run added rows since this one looked.
            UnwritableOutput: the store refuses.
        """


class DeltaOutput:
    """A Delta table at `uri`.

    The job stands in the table's description; how far it came is a `txn` action (application: the job's id,
    version: rows of the input) in the commit of the rows, as in the lake (docs/adr/0007-lake-offsets.md). A
    commit is made against the snapshot that was looked at: of two runs at once, Delta refuses one.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri_of(uri)
        self._table: DeltaTable | None = None
        self._job: Job | None = None

    @property
    def version(self) -> int:
        """The table's version after the last append."""
        return -1 if self._table is None else int(self._table.version())

    @property
    def table_id(self) -> str:
        """The table's own id; empty where there is none."""
        return "" if self._table is None else str(self._table.metadata().id)

    def look(self) -> tuple[Job, int] | None:
        """See `Output.look`."""
        with self._reaching():
            if not DeltaTable.is_deltatable(self.uri):
                self._refuse_files()
                return None
            self._table = DeltaTable(self.uri)
            self._job = Job.of_json(self._table.metadata().description)
            if self._job is None:
                raise OtherOutput(
                    f"output {self.uri} is a table that `tidemark score-batch` did not make: name another"
                )
            return self._job, int(self._table.transaction_version(self._job.id) or 0)

    def begin(self, job: Job, schema: pa.Schema) -> None:
        """See `Output.begin`."""
        with self._reaching():
            try:
                self._table = DeltaTable.create(
                    self.uri, Schema.from_arrow(schema), name="scores", description=job.to_json()
                )
            except DeltaError as error:
                if DeltaTable.is_deltatable(self.uri):
                    raise _in_use(self.uri) from error
                raise
            self._job = job

    def append(self, rows: pa.Table, reached: int) -> None:
        """See `Output.append`."""
        assert self._table is not None
        assert self._job is not None
        with self._reaching():
            try:
                write_deltalake(
                    self._table,
                    rows,
                    mode="append",
                    writer_properties=_WRITER,
                    commit_properties=CommitProperties(app_transactions=[Transaction(self._job.id, reached)]),
                )
            except CommitFailedError as error:
                raise _in_use(self.uri) from error

    def _refuse_files(self) -> None:
        folder = Path(self.uri)
        if "://" not in self.uri and folder.exists() and not (folder.is_dir() and _is_empty(folder)):
            raise OtherOutput(f"output {self.uri} holds somebody else's files: name a new folder")

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (OtherOutput, OutputInUse):
            raise
        except Exception as error:  # delta-rs raises bare Exception beside its own classes
            raise UnwritableOutput(
                f"output {self.uri} cannot be written or read: {cause_of(error)}"
            ) from error


class MemoryOutput:
    """Rows in this process, for tests."""

    def __init__(self) -> None:
        self.tables: list[pa.Table] = []
        self._kept: tuple[Job, int] | None = None

    def look(self) -> tuple[Job, int] | None:
        """See `Output.look`."""
        return self._kept

    def begin(self, job: Job, schema: pa.Schema) -> None:
        """See `Output.begin`."""
        del schema
        self._kept, self.tables = (job, 0), []

    def append(self, rows: pa.Table, reached: int) -> None:
        """See `Output.append`."""
        assert self._kept is not None
        self.tables.append(rows)
        self._kept = self._kept[0], reached


def _is_empty(folder: Path) -> bool:
    # A run that was killed while it made the table leaves a log without an entry.
    return not any(path.is_file() and path.suffix != ".tmp" for path in folder.rglob("*"))


def _in_use(uri: str) -> OutputInUse:
    return OutputInUse(
        f"output {uri}: another run writes to it at the same time; let one of them end, then run this again"
    )
