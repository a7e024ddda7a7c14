"""The archiver's lake as `ServedLog`: what was served, and the events that features saw."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from bus.errors import Unavailable
from deltalake import DeltaTable
from feature_store.events import empty
from training_sets.lake import read_events
from training_sets.narrowing import events_about
from training_sets.predictions import COLUMNS, PREDICTIONS, fits, looked_up, served_of

from drift_detector.audit_ports import Sample
from drift_detector.domain.sampling import lowest, ranks_of, sampled
from drift_detector.domain.windows import LATENESS_US

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from bus.positions import TopicPartition
    from feature_store import EventBatch, Source
    from feature_store.contract import Contract
    from feature_store.offline import Served

    from drift_detector.audit_ports import Positions
    from drift_detector.domain.windows import Window

_T = TypeVar("_T")
_SERVED: Final = ("CHAMPION", "CHALLENGER")
_TIME: Final = pa.timestamp("us", tz="UTC")
_READ: Final = ("_partition", "_offset", "prediction_id", "version", *COLUMNS)
_ROW: Final = pa.struct(
    [
        ("view", pa.string()),
        ("applied_offsets", pa.list_(pa.int64())),
        ("recorded_watermark_us", pa.int64()),
    ]
)
_EMPTY: Final = pa.schema(
    [
        ("_partition", pa.int32()),
        ("_offset", pa.int64()),
        ("prediction_id", pa.string()),
        ("version", pa.string()),
        ("request_time", _TIME),
        ("entities", pa.map_(pa.string(), pa.string())),
        ("context", pa.map_(pa.string(), pa.string())),
        ("features__contract_hash", pa.binary()),
        ("features__values", pa.binary()),
        ("features__statuses", pa.binary()),
        ("features__rows", pa.list_(_ROW)),
    ]
).empty_table()


class DeltaServedLog:
    """Delta tables below `uri`, as the archiver keeps them.

    Args:
        uri: The lake.
        answers: The name of the predictions' topic.
        most_rows: A sample is at most so large: of more, those whose ids rank lowest.
    """

    def __init__(self, uri: str, *, answers: str, most_rows: int) -> None:
        self._uri = uri.rstrip("/")
        self._answers = answers
        self._most_rows = most_rows
        self._open: dict[str, DeltaTable] = {}
        self._listed: tuple[int, ds.Dataset] | None = None

    def refresh(self, partitions: Collection[TopicPartition]) -> Positions:
        """See `ServedLog.refresh`."""
        found: dict[TopicPartition, int] = {}
        for topic in dict.fromkeys(where.topic for where in partitions):
            table = self._newest(self._path(topic))
            for where in partitions:
                if where.topic == topic:
                    found[where] = 0 if table is None else _position(table, where)
        return found

    def passed(self, time_us: int) -> Mapping[int, int]:
        """See `ServedLog.passed`."""
        if not self._reaching(PREDICTIONS, lambda: self._may_hold(time_us)):
            return {}
        rows = self._predictions(("_partition", "_offset"), ds.field("_recorded_time") >= _time(time_us))
        first = rows.group_by("_partition").aggregate([("_offset", "min")])
        return dict(zip(first["_partition"].to_pylist(), first["_offset_min"].to_pylist(), strict=True))

    def first_request_us(self, model: str, from_us: int) -> int | None:
        """See `ServedLog.first_request_us`."""
        first: int | None = pc.min(self._request_times(model, from_us)).as_py()
        return first

    def last_request_us(self, model: str) -> int | None:
        """See `ServedLog.last_request_us`."""
        last: int | None = pc.max(self._request_times(model, 0)).as_py()
        return last

    def sample(self, contract: Contract, window: Window, cut: Mapping[int, int], share: float) -> Sample:
        """See `ServedLog.sample`."""
        wanted = (
            (ds.field("model") == contract.model)
            & ds.field("role").isin(_SERVED)
            & (ds.field("request_time") >= _time(window.start_us))
            & (ds.field("request_time") < _time(window.end_us))
            & (ds.field("_recorded_time") < _time(window.end_us + LATENESS_US))
        )
        answered: Counter[str] = Counter()
        pieces = [_EMPTY]
        for piece in self._scan(wanted):
            before = piece.filter(_before(piece, cut))
            answered.update(before["version"].to_pylist())
            ranks = ranks_of(before["prediction_id"].to_pylist())
            pieces.append(before.filter(pa.array(sampled(ranks, share))))
        return self._sample_of(contract, answered, pa.concat_tables(pieces, promote_options="permissive"))

    def events(self, contract: Contract, served: Served) -> Mapping[str, EventBatch]:
        """See `ServedLog.events`."""
        sources = {view.source.topic: view.source for view in contract.views}
        return {topic: self._events_of(contract, source, served) for topic, source in sources.items()}

    def _sample_of(self, contract: Contract, answered: Mapping[str, int], rows: pa.Table) -> Sample:
        rows = rows.sort_by([(name, "ascending") for name in ("request_time", "_partition", "_offset")])
        rows = rows.take(pa.array(lowest(ranks_of(rows["prediction_id"].to_pylist()), self._most_rows)))
        rows = rows.filter(pa.array(looked_up(contract, rows)))
        fitting = fits(contract, rows)
        unfit = Counter(rows.filter(pa.array(~fitting))["version"].to_pylist())
        kept = rows.filter(pa.array(fitting))
        return Sample(answered, unfit, kept["version"].to_pylist(), served_of(contract, kept))

    def _events_of(self, contract: Contract, source: Source, served: Served) -> EventBatch:
        path = self._path(source.topic)
        table = self._reaching(path, lambda: self._opened(path))
        if table is None:
            return empty(source)
        latest_us = int(max(served.requests.time_us.max(), served.watermark_us.max()))
        wanted = events_about(contract, source, served.requests, latest_us)
        return self._reaching(path, lambda: read_events(table, source, wanted))

    def _scan(self, wanted: ds.Expression) -> Iterable[pa.Table]:
        """Read predictions piece by piece: what is not sampled is not kept."""
        logged = self._reaching(PREDICTIONS, self._dataset)
        if logged is None:
            return
        scanned = logged.scanner(columns=list(_READ), filter=wanted).to_batches()
        while True:
            piece = self._reaching(PREDICTIONS, lambda: next(scanned, None))
            if piece is None:
                return
            yield pa.Table.from_batches([piece])

    def _predictions(self, columns: Collection[str], wanted: ds.Expression) -> pa.Table:
        logged = self._reaching(PREDICTIONS, self._dataset)
        if logged is None:
            return pa.table({name: pa.array([], pa.int64()) for name in columns})
        return self._reaching(PREDICTIONS, lambda: logged.to_table(columns=list(columns), filter=wanted))

    def _may_hold(self, time_us: int) -> bool:
        """Whether a file of the predictions may hold what was recorded at or after a time.

        Its log says so without a look at a file: what is asked at every beat costs no more.
        """
        table = self._opened(PREDICTIONS)
        files = None if table is None else pa.table(table.get_add_actions(flatten=True))
        if files is None or not files.num_rows:
            return False
        newest = files["max._recorded_time"] if "max._recorded_time" in files.column_names else None
        # A file without statistics may hold anything.
        return newest is None or newest.null_count > 0 or pc.max(newest).cast(_TIME).value >= time_us

    def _dataset(self) -> ds.Dataset | None:
        """List the files of the predictions once a version: with their statistics that costs milliseconds."""
        table = self._opened(PREDICTIONS)
        if table is None:
            return None
        if self._listed is None or self._listed[0] != table.version():
            self._listed = table.version(), table.to_pyarrow_dataset()
        return self._listed[1]

    def _request_times(self, model: str, from_us: int) -> pa.ChunkedArray:
        wanted = (ds.field("request_time") >= _time(from_us)) & (ds.field("model") == model)
        return self._predictions(("request_time",), wanted)["request_time"].cast(pa.int64())

    def _path(self, topic: str) -> str:
        return PREDICTIONS if topic == self._answers else f"sources/{topic}"

    def _newest(self, path: str) -> DeltaTable | None:
        table = self._reaching(path, lambda: self._opened(path))
        if table is not None:
            self._reaching(path, table.update_incremental)
        return table

    def _opened(self, path: str) -> DeltaTable | None:
        location = f"{self._uri}/{path}"
        if path not in self._open and DeltaTable.is_deltatable(location):
            self._open[path] = DeltaTable(location)
        return self._open.get(path)

    def _reaching(self, path: str, read: Callable[[], _T]) -> _T:
        try:
            return read()
        except Exception as error:  # delta-rs raises bare Exception beside its own classes
            self._open.pop(path, None)  # what is wrong may be in the handle: open the table anew
            self._listed = None
            raise Unavailable(f"lake table {self._uri}/{path} cannot be read: {error}") from error


def _before(rows: pa.Table, cut: Mapping[int, int]) -> pa.Array:
    partition = rows["_partition"].to_numpy()
    ends = np.zeros(int(max([*cut, partition.max(initial=0)])) + 1, np.int64)
    for where, end in cut.items():
        ends[where] = end
    return pa.array(rows["_offset"].to_numpy() < ends[partition])


def _position(table: DeltaTable, where: TopicPartition) -> int:
    """Return up to where the archiver has kept a partition: docs/adr/0007-lake-offsets.md."""
    return int(table.transaction_version(f"{where.topic}:{where.partition}") or 0)


def _time(time_us: int) -> pa.Scalar:
    return pa.scalar(time_us, _TIME)
