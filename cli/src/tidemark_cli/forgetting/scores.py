"""Which rows of the tables that `tidemark score-batch` made are about a subject."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
from batch_scoring import Job
from batch_scoring.errors import cause_of
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from training_sets.erasing import Rows

from tidemark_cli.forgetting.tables import Place, Subject

REQUEST_KEY = "request_key"
_REQUEST_TIME = "request_time"
_MOMENT = pa.timestamp("us", tz="UTC")
_MILLISECOND_US = 1_000
_SPARE_NS = 3_600_000_000_000
GONE = "there is no table any more"
NAMELESS = "its rows do not say whom they are about: neither an entity nor a request key was kept"
UNFINISHED = "its job is not finished: what it scores from now on is in it again, if the input still has it"


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """A table of scores, and where it says whom they are about.

    Attributes:
        columns: Those that hold the entity's key.
        finished: Whether the job has all rows of its input.
    """

    uri: str
    table: DeltaTable
    columns: tuple[str, ...]
    finished: bool

    def place(self, subject: Subject, keys: frozenset[str], request_keys: frozenset[str]) -> Place:
        """Return which rows are about a subject.

        A job that began before the erasure has read what is erased, whatever time its requests are of.

        Args:
            subject: Whom.
            keys: The entity's key, as it may be written: as it is, and hashed.
            request_keys: Of the subject's requests.
        """
        spare_ns = 0 if self.finished else _SPARE_NS
        created_us = int(self.table.metadata().created_time or 0) * _MILLISECOND_US
        until_us = subject.until_us
        whole = until_us is None or created_us <= until_us
        names = pa.array(sorted(keys), pa.string())
        requests = pa.array(sorted(request_keys - {""}), pa.string())

        def chosen(held: pa.Table) -> pa.Array:
            looked = [(name, names) for name in self.columns] + [(REQUEST_KEY, requests)]
            found = [_is_in(held, name, values) for name, values in looked if name in held.column_names]
            about = reduce(pc.or_, found, pa.chunked_array([pa.repeat(False, held.num_rows)]))  # noqa: FBT003
            if whole or _REQUEST_TIME not in held.column_names:
                return about
            asked = pc.less_equal(held[_REQUEST_TIME], pa.scalar(until_us, _MOMENT))
            return pc.and_(about, pc.fill_null(asked, True))  # noqa: FBT003

        return Place(
            self.uri, Rows((*self.columns, REQUEST_KEY, _REQUEST_TIME), chosen, subject.key), spare_ns
        )


def _is_in(held: pa.Table, name: str, values: pa.Array) -> pa.ChunkedArray:
    return pc.is_in(held[name].cast(pa.string()), values)


def open_score_tables(uris: Iterable[str], entity: str) -> tuple[list[ScoreTable], dict[str, str]]:
    """Open tables of scores, those first that name no entity: the others tell the keys of their requests.

    Returns:
        The tables, and by URI why others cannot be searched.
    """
    found: list[ScoreTable] = []
    unreached: dict[str, str] = {}
    for uri in sorted(set(uris)):
        opened = _open(uri, entity)
        if isinstance(opened, str):
            unreached[uri] = opened
        else:
            found.append(opened)
    return sorted(found, key=lambda one: bool(one.columns)), unreached


def _open(uri: str, entity: str) -> ScoreTable | str:
    try:
        if not DeltaTable.is_deltatable(uri):
            return GONE
        table = DeltaTable(uri)
        job = Job.of_json(table.metadata().description)
    except (DeltaError, OSError) as error:
        return f"it cannot be read: {cause_of(error)}"
    if job is None:
        return "it is no table that `tidemark score-batch` made"
    schema = table.to_pyarrow_dataset().schema
    told = job.asked["columns"].get(f"entity.{entity}")
    columns = tuple(
        name
        for name in dict.fromkeys((told, f"entity.{entity}", entity))
        if name in schema.names and _holds_keys(schema.field(name).type)
    )
    if not columns and not _has_request_keys(table):
        return NAMELESS
    finished = (table.transaction_version(job.id) or 0) >= job.asked["input"]["rows"]
    return ScoreTable(uri, table, columns, finished)


def _holds_keys(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind))


def _has_request_keys(table: DeltaTable) -> bool:
    keys = table.to_pyarrow_dataset().scanner(columns=[REQUEST_KEY]).to_batches()
    return any(batch.column(0).null_count < batch.num_rows for batch in keys)
