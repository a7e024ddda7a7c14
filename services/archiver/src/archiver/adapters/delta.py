"""The lake as Delta tables, each with its positions in its own log.

A position is a `txn` action (an application's transaction: an app id and a version) in the same commit as the
rows it accounts for. A commit is made against the snapshot the positions were read from; when another writer
moved the same partition since, Delta refuses it, and the positions are read anew.
See docs/adr/0007-lake-offsets.md.
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    Field,
    Schema,
    Transaction,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from archiver.adapters.lookups import writer_properties
from archiver.adapters.upkeep import Upkeep
from archiver.domain.months import MONTH, partition_columns, with_month
from archiver.domain.positions import advanced, fallen_back, new_rows
from archiver.domain.tables import LakeTable, SchemaError, conform, new_columns
from archiver.ports import LakeUnavailable, TableRewound

_CONFLICTS_BORNE: Final = 20
_LOG: Final = logging.getLogger(__name__)


class DeltaLake:
    """Delta tables below a folder or an object store's URI; used by one thread at a time.

    Args:
        uri: e.g. `/var/lib/tidemark/lake` or `s3://bucket/lake`; credentials come from the environment, as
            delta-rs reads them.
        upkeep: How often logs are summed up, small files are joined and old ones dropped.
    """

    def __init__(self, uri: str, upkeep: Upkeep | None = None) -> None:
        self._uri = uri.rstrip("/")
        self._upkeep = upkeep or Upkeep()
        self._open: dict[str, DeltaTable] = {}
        self._known: dict[str, dict[int, int]] = {}
        self._tidied: dict[str, int] = {}

    def location(self, table: LakeTable) -> str:
        """Where a table is, as any Delta reader takes it."""
        return f"{self._uri}/{table.path}"

    def prepare(self, table: LakeTable) -> None:
        """Create the table or add its new columns; another process doing the same at once is no error."""
        for _ in range(_CONFLICTS_BORNE):
            with self._reaching(table):
                try:
                    opened = self._create_or_open(table)
                    _add_columns(opened, table)
                    self._keep_properties(opened)
                except CommitFailedError:
                    continue  # another process was first: look at what it made
                self._open[table.path] = opened
                return
        raise LakeUnavailable(
            f"lake table {table.path}: its schema changed under {_CONFLICTS_BORNE} attempts"
        )

    def resume_from(self, table: LakeTable, partitions: Collection[int]) -> Mapping[int, int]:
        """Read from the newest version of the table's log."""
        with self._reaching(table):
            opened = self._refreshed(table)
            self._known.pop(table.path, None)  # from here on, what is found now is what must not be lost
            self._positions(opened, table, partitions)
            return {p: opened.transaction_version(_before(table, p)) or 0 for p in partitions}

    def append(self, table: LakeTable, rows: pa.Table, reached: Mapping[int, int]) -> int:
        """Append what is new, in one commit with the positions."""
        for _ in range(_CONFLICTS_BORNE):
            with self._reaching(table):
                try:
                    appended = self._append_once(table, rows, reached)
                except CommitFailedError as refused:
                    # Another writer moved one of these partitions, or the schema: look again.
                    _LOG.info("%s: commit refused, looking again: %s", table.path, refused)
                    continue
            self._keep_tidy(table)
            return appended
        raise LakeUnavailable(
            f"lake table {table.path}: {_CONFLICTS_BORNE} commits in a row met another writer's"
        )

    def _append_once(self, table: LakeTable, rows: pa.Table, reached: Mapping[int, int]) -> int:
        opened = self._refreshed(table)
        positions = self._positions(opened, table, reached.keys())
        moves = advanced(positions, reached)
        if not moves:
            return 0
        _add_columns(opened, table)  # none, unless another process changed the table meanwhile
        fresh = new_rows(rows, positions)
        transactions = [
            transaction
            for p, offset in moves.items()
            for transaction in (
                Transaction(_at(table, p), offset),
                Transaction(_before(table, p), positions[p]),
            )
        ]
        # The very snapshot the positions came from: a commit against any newer one could not see a rival's.
        write_deltalake(
            opened,
            conform(with_month(fresh), pa.schema(opened.schema().to_arrow())),
            mode="append",
            writer_properties=writer_properties(fresh.column_names, fresh.num_rows),
            commit_properties=CommitProperties(app_transactions=transactions),
        )
        self._known.setdefault(table.path, {}).update(moves)
        return int(fresh.num_rows)

    @contextmanager
    def _reaching(self, table: LakeTable) -> Iterator[None]:
        """Whatever Delta or the store raises is about the lake, never about one record: the batch is kept."""
        try:
            yield
        except (LakeUnavailable, TableRewound, SchemaError, CommitFailedError):
            raise
        except Exception as error:  # delta-rs raises bare Exception beside its own classes
            self._open.pop(table.path, None)  # what is wrong may be in the handle: open the table anew
            raise LakeUnavailable(f"lake table {table.path}: {error}") from error

    def _refreshed(self, table: LakeTable) -> DeltaTable:
        opened = self._open.get(table.path)
        if opened is not None:
            opened.update_incremental()
            return opened
        try:
            opened = self._open[table.path] = DeltaTable(self.location(table))
        except TableNotFoundError:
            raise TableRewound(
                f"lake table {table.path} is not at {self.location(table)} any more; restart the archiver, "
                "which creates it and reads its topic again"
            ) from None
        return opened

    def _positions(self, opened: DeltaTable, table: LakeTable, partitions: Collection[int]) -> dict[int, int]:
        found = {p: opened.transaction_version(_at(table, p)) or 0 for p in partitions}
        known = self._known.setdefault(table.path, {})
        lost = fallen_back({p: known[p] for p in partitions if p in known}, found)
        if lost:
            raise TableRewound(
                f"lake table {table.path} was at {lost} (partition: (known, found)) and has gone back: it "
                "was restored or replaced while the archiver ran; restart the archiver to read on from there"
            )
        known.update(found)
        return found

    def _create_or_open(self, table: LakeTable) -> DeltaTable:
        location = self.location(table)
        if not DeltaTable.is_deltatable(location):
            try:
                months = partition_columns(table.schema)
                return DeltaTable.create(
                    location,
                    Schema.from_arrow(table.schema.append(MONTH) if months else table.schema),
                    partition_by=months or None,
                    description=f"Every record of {table.topic}, once.",
                    configuration=self._upkeep.configuration(),
                )
            except DeltaError:
                if not DeltaTable.is_deltatable(location):
                    raise
        return DeltaTable(location)

    def _keep_properties(self, opened: DeltaTable) -> None:
        differing = self._upkeep.differing(opened)
        if differing:
            opened.alter.set_table_properties(differing)

    def _keep_tidy(self, table: LakeTable) -> None:
        """Never fails a batch that is already in: upkeep that failed is due again next time."""
        try:
            self._tidied[table.path] = self._upkeep.tidy(
                self._open[table.path], self._tidied.get(table.path, 0)
            )
        except Exception as error:  # noqa: BLE001 - as in _reaching
            _LOG.warning("%s: upkeep failed, due again next time: %s", table.path, error)


def _add_columns(opened: DeltaTable, table: LakeTable) -> None:
    added = new_columns(pa.schema(opened.schema().to_arrow()), table.schema, table.path)
    if added:
        opened.alter.add_columns([Field.from_arrow(column) for column in added])


def _at(table: LakeTable, partition: int) -> str:
    """The app id whose version is the position."""
    return f"{table.topic}:{partition}"


def _before(table: LakeTable, partition: int) -> str:
    """The app id whose version is the position before the last append."""
    return f"{table.topic}:{partition}:before"
