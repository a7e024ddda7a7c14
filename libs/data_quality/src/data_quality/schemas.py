"""A pandera schema out of a source's definition, and what of it rows break.

The stream's checks are asked again of the rows in the lake: some were written before a check was declared.
What pandera has a check for it judges itself, column by column; any other check of a source judges here as it
does at the door.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from feature_store.checks import Matches, OneOf, Range, Required, That
from feature_store.events import from_arrow
from feature_store.expressions import FieldType
from feature_store.rejects import Rejects

with warnings.catch_warnings():
    # Where pyspark is installed pandera imports it, and it warns of a pandas that is not used here.
    warnings.filterwarnings("ignore", message="PySpark does not yet", category=FutureWarning)
    import pandera.polars as pa
    from pandera.errors import SchemaErrors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_store import Source
    from feature_store.checks import SourceCheck

    from data_quality.chunks import Chunk

CONFORMS: Final = "conforms"
_TYPES: Final[dict[FieldType, Any]] = {
    FieldType.NUMBER: pl.Float64,
    FieldType.TEXT: pl.String,
    FieldType.TIME: pl.Datetime("us", "UTC"),
    FieldType.FLAG: pl.Boolean,
}


@dataclass(frozen=True, slots=True)
class Broken:
    """What rows of a chunk break.

    Attributes:
        rows: By the check's label, each failing row's index in the chunk and what it holds.
        columns: What is wrong with columns as a whole, in words.
    """

    rows: dict[str, dict[int, str]]
    columns: tuple[str, ...]


class SourceSchema:
    """A source's fields and checks as a schema.

    Args:
        checks: By label, checks beside the source's own, which are labelled `CONFORMS`.
    """

    def __init__(self, source: Source, checks: Sequence[tuple[str, SourceCheck]]) -> None:
        self._source = source
        labelled = [*((CONFORMS, check) for check in source.checks), *checks]
        by_column: dict[str, list[pa.Check]] = defaultdict(list)
        for label, check in labelled:
            for name, one in _by_column(source, label, check):
                by_column[name].append(one)
        self._schema = pa.DataFrameSchema(
            {
                name: pa.Column(_TYPES[kind], checks=by_column[name], nullable=True)
                for name, kind in source.fields.items()
            }
        )

    def broken(self, chunk: Chunk) -> Broken:
        """Return what rows of a chunk break."""
        try:
            self._schema.validate(chunk.frame, lazy=True)
        except SchemaErrors as errors:
            return _read(errors.failure_cases)
        return Broken({}, ())


def _by_column(source: Source, label: str, check: SourceCheck) -> list[tuple[str, pa.Check]]:
    anywhere = next(iter(source.fields))
    match check:
        case Range(field, low, high):
            return [(field, pa.Check.in_range(low, high, error=label))]
        case OneOf(field, allowed):
            return [(field, pa.Check.isin(sorted(allowed), error=label))]
        case Required(names):
            return [(name, pa.Check(_is_given, error=label, ignore_na=False)) for name in names]
        case That(condition, _):
            return [(min(condition.fields(), default=anywhere), _as_at_the_door(source, label, check))]
        case Matches(field, _):
            return [(field, _as_at_the_door(source, label, check))]
        case _:
            return [(anywhere, _as_at_the_door(source, label, check))]


def _is_given(data: Any) -> pl.LazyFrame:
    rows: pl.LazyFrame = data.lazyframe
    column = pl.col(data.key)
    is_text = rows.collect_schema()[data.key] == pl.String
    given = column.is_not_null() & (column != "") if is_text else column.is_not_null()
    return rows.select(given.fill_null(value=False))


def _as_at_the_door(source: Source, label: str, check: SourceCheck) -> pa.Check:
    """Return a check of whole rows; pandera shows of a failing one the column that it is attached to."""

    def passes(data: Any) -> pl.LazyFrame:
        events = from_arrow(source, data.lazyframe.collect().to_arrow())
        rejects = Rejects()
        check.refuse(dict(events.columns), source.fields, rejects)
        kept = np.ones(len(events), np.bool_)
        kept[[one.index for one in rejects.in_order()]] = False
        return pl.LazyFrame({"passes": kept})

    return pa.Check(passes, error=label, ignore_na=False)


def _read(cases: pl.DataFrame) -> Broken:
    """Sort pandera's failure cases: those with an index are rows, the others speak of columns."""
    rows: dict[str, dict[int, str]] = defaultdict(dict)
    columns: list[str] = []
    for case, column, check, index in cases.select("failure_case", "column", "check", "index").iter_rows():
        if index is None:
            columns.append(_of_column(case, column, check))
        else:
            rows[check].setdefault(index, f"{column} is {case}")
    return Broken(rows, tuple(sorted(set(columns))))


def _of_column(case: str | None, column: str | None, check: str) -> str:
    if check == "column_in_dataframe":
        return f"the table has no column {case}"
    if check.startswith("dtype("):
        wanted = check.removeprefix("dtype(").strip("()'")
        return f"column {column} holds {case}, not {wanted}"
    return f"{column or 'a check'} could not be checked"
