"""Running a job: rows are read, scored and written side by side, and nothing is done twice.

Three threads, of which each waits for the one before: reading and making vectors, scoring, writing. What is
in memory is three batches of rows and a commit.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from model_package import NonFiniteScore, Outputs

from batch_scoring.columns import REQUEST_KEY, REQUEST_TIME, times_of
from batch_scoring.errors import NoScore
from batch_scoring.job import prediction_ids
from batch_scoring.keeping import MOMENT, keep
from batch_scoring.model_outputs import columns_of, fields_of, specs_of
from batch_scoring.planning import PREDICTION_ID, SCORE, STATUSES, VECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from batch_scoring.features import Rows
    from batch_scoring.output import Output
    from batch_scoring.planning import Plan

COMMIT_BYTES: Final = 32 << 20
SCORED_TOGETHER: Final = 4_096
"""Rows a model is run on at once: enough to amortise a call, and little memory inside a large network."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Consecutive rows of the input with their vectors.

    Attributes:
        first: The number of the first row.
        rows: The columns that were bound.
    """

    first: int
    rows: pa.Table
    vectors: Rows


def run(
    plan: Plan,
    output: Output,
    *,
    watch: Callable[[int], None] = lambda _: None,
    commit_bytes: int = COMMIT_BYTES,
) -> int:
    """Score what is left of a job.

    Killed at any moment and run again, the output in the end is that of an undisturbed run.

    Args:
        plan: The job.
        output: Where its rows go; what `plan` was made with.
        watch: Told how many rows of the input were scored, now and before.
        commit_bytes: About how much is written in one commit.

    Returns:
        How many rows were scored now.

    Raises:
        BadValue: a row holds what no request may.
        NoScore: the model gave a row no finite score.
        UnreadableInput: a file is gone or damaged.
        OutputInUse: another run writes to the output.
        UnwritableOutput: the store refuses.
        DatasetError: a table of the lake cannot be read.
    """
    if plan.done >= plan.input.rows:
        return 0
    if output.look() is None:
        output.begin(plan.job, plan.schema)
    with ThreadPoolExecutor(1, "read") as reading, ThreadPoolExecutor(1, "write") as writing:
        keeper = _Keeper(plan, output, writing, commit_bytes)
        for batch in _ahead(_batches(plan), reading):
            keeper.keep(batch, _score(plan, batch))
            watch(batch.first + len(batch.rows))
        keeper.finish()
    return plan.input.rows - plan.done


def _batches(plan: Plan) -> Iterator[Batch]:
    first = plan.done
    for rows in plan.input.read(plan.columns.read, first, plan.choices.batch_rows):
        hidden = plan.concealed.hide(rows)
        yield Batch(first, hidden, plan.features.of(hidden, _where(plan, first)))
        first += len(rows)


def _ahead(batches: Iterator[Batch], pool: ThreadPoolExecutor) -> Iterator[Batch]:
    """Hand out batches, the next being made meanwhile."""
    coming: Future[Batch | None] = pool.submit(next, batches, None)
    while (batch := coming.result()) is not None:
        coming = pool.submit(next, batches, None)
        yield batch


def _score(plan: Plan, batch: Batch) -> Outputs:
    values = batch.vectors.values
    parts = []
    for start in range(0, len(values), SCORED_TOGETHER):
        try:
            parts.append(plan.scorer.answer(values[start : start + SCORED_TOGETHER]))
        except NonFiniteScore as error:
            where = _where(plan, batch.first)(start + error.row)
            raise NoScore(
                f"version {plan.scorer.package.version} gives {where} no finite score: {error}; leave the "
                "row out, or mend the model"
            ) from error
    return Outputs(
        [score for part in parts for score in part.scores],
        {name: np.concatenate([part.named[name] for part in parts]) for name in parts[0].named},
    )


def _where(plan: Plan, first: int) -> Callable[[int], str]:
    return lambda row: plan.input.where(first + row)


class _Keeper:
    """Writes behind the scoring, one step at a time."""

    def __init__(self, plan: Plan, output: Output, pool: ThreadPoolExecutor, commit_bytes: int) -> None:
        self._plan = plan
        self._output = output
        self._pool = pool
        self._commit_bytes = commit_bytes
        self._waiting: list[pa.Table] = []
        self._reached = plan.done
        self._under_way: Future[None] | None = None

    def keep(self, batch: Batch, outputs: Outputs) -> None:
        """Write a batch once the one before is written."""
        self._settle()
        self._under_way = self._pool.submit(self._add, batch, outputs)

    def finish(self) -> None:
        """Wait until everything is in the output."""
        self._settle()
        self._commit()

    def _settle(self) -> None:
        if self._under_way is not None:
            self._under_way.result()

    def _add(self, batch: Batch, outputs: Outputs) -> None:
        self._waiting.append(written(self._plan, batch, outputs))
        self._reached = batch.first + len(batch.rows)
        if sum(table.nbytes for table in self._waiting) >= self._commit_bytes:
            self._commit()

    def _commit(self) -> None:
        if self._waiting:
            self._output.append(pa.concat_tables(self._waiting), self._reached)
            self._waiting = []


def written(plan: Plan, batch: Batch, outputs: Outputs) -> pa.Table:
    """Return what is written of a batch: see docs/batch-scoring.md."""
    count = len(batch.rows)
    asked = plan.job.asked
    specs = specs_of(plan.scorer)
    columns = {
        PREDICTION_ID: prediction_ids(plan.job.id, batch.first, count),
        REQUEST_KEY: _request_keys(plan, batch.rows),
        REQUEST_TIME: _request_times(plan, batch),
        SCORE: pa.array(outputs.scores, pa.float64()),
        "model": _repeated(asked["model"], count),
        "version": _repeated(asked["version"], count),
        "digest": _repeated(asked["digest"], count),
        "contract_hash": _repeated(asked["contract"], count),
        STATUSES: _bytes_of(batch.vectors.statuses),
        **dict(
            zip(
                (field.name for field in fields_of(specs)),
                columns_of(specs, outputs.named),
                strict=True,
            )
        ),
    }
    if plan.choices.vectors:
        columns[VECTOR] = _lists_of(batch.vectors.values)
    for name in plan.columns.kept:
        if name not in columns:
            columns[name] = keep(batch.rows[name], name, plan.schema.field(name).type)
    return pa.table({name: columns[name] for name in plan.schema.names})


def _repeated(value: str, count: int) -> pa.Array:
    """Return a value once, and so many references to it."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), [value])


def _request_keys(plan: Plan, rows: pa.Table) -> pa.Array | pa.ChunkedArray:
    name = plan.columns.request_key
    return pa.nulls(len(rows), pa.string()) if name is None else rows[name].cast(pa.string())


def _request_times(plan: Plan, batch: Batch) -> pa.Array:
    name, at_us = plan.columns.request_time, plan.choices.at_us
    if name is None and at_us is None:
        return pa.nulls(len(batch.rows), MOMENT)
    return pa.array(times_of(batch.rows, name, at_us, _where(plan, batch.first))).cast(MOMENT)


def _bytes_of(statuses: NDArray[np.uint8]) -> pa.Array:
    """Return one value a row, a byte a feature."""
    count, width = statuses.shape
    offsets = pa.py_buffer(np.arange(0, (count + 1) * width, width, dtype=np.int32))
    return pa.Array.from_buffers(pa.binary(), count, [None, offsets, pa.py_buffer(statuses.tobytes())])


def _lists_of(values: NDArray[np.float32]) -> pa.Array:
    count, width = values.shape
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, values.ravel())
