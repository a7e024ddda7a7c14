"""Which column of the input is what of a request, and the requests that rows make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feature_store import FieldType, Requests
from feature_store.errors import did_you_mean
from feature_store.events import from_arrow_column
from feature_store.scalars import EARLIEST_US, LATEST_US, MAX_KEY_BYTES, MAX_TEXT_BYTES, NO_TIME

from batch_scoring.errors import BadValue, UnknownColumn, WrongType
from batch_scoring.keeping import MOMENT, keep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from feature_store import Contract

ENTITY, INPUT, FEATURE = "entity", "input", "feature"
REQUEST_TIME: Final = "request_time"
REQUEST_KEY: Final = "request_key"
MAX_REQUEST_KEY_BYTES: Final = 256

Nulls = Literal["refuse", "missing"]
_IS: Final[Mapping[FieldType, Callable[[pa.DataType], bool]]] = {
    FieldType.NUMBER: lambda kind: (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    ),
    FieldType.TEXT: lambda kind: (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    ),
    FieldType.TIME: pa.types.is_timestamp,
    FieldType.FLAG: pa.types.is_boolean,
}


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a batch of requests is made of.

    Attributes:
        request_time: Of the `as of` of each row; None where all are asked as of one time.
        request_key: By which an outcome will find the prediction; None where nothing tells it.
        entities: Entity, or part of its key, to column.
        inputs: Request-time input to column.
        input_types: Of each input.
        features: In the order of the vector, where vectors are given; else empty.
        kept: Written beside the scores, as they are.
    """

    request_time: str | None
    request_key: str | None
    entities: Mapping[str, str]
    inputs: Mapping[str, str]
    input_types: Mapping[str, FieldType]
    features: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    read: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Note every column that is read, each once."""
        told = [name for name in (self.request_time, self.request_key) if name is not None]
        every = [*told, *self.entities.values(), *self.inputs.values(), *self.features, *self.kept]
        object.__setattr__(self, "read", tuple(dict.fromkeys(every)))


def bind(
    contract: Contract,
    schema: pa.Schema,
    given: Mapping[str, str],
    *,
    kept: Sequence[str] | None,
    timed: bool,
) -> Columns:
    """Find the columns that features of the lake are looked up by.

    Args:
        contract: The model's.
        schema: Of the input.
        given: What the caller says: `entity.<name>`, `input.<name>`, `request_time` or `request_key` to
            column. The rest is found by these names, or those of entities and inputs without the prefix.
        kept: Columns to write beside the scores; those bound here when None.
        timed: Whether each row has a request time of its own.

    Raises:
        UnknownColumn: a column is not there, or what is given is nothing the model reads.
        WrongType: a column is not of the type it is read as.
    """
    known = [REQUEST_TIME, REQUEST_KEY]
    known += [f"{ENTITY}.{name}" for name in contract.entities]
    known += [f"{INPUT}.{name}" for name in contract.inputs]
    _refuse_unknown(given, known, contract.model)
    finder = _Finder(schema, given)
    columns = Columns(
        finder.find(REQUEST_TIME, FieldType.TIME) if timed else None,
        finder.find_if_there(REQUEST_KEY, FieldType.TEXT),
        {name: finder.find(f"{ENTITY}.{name}", FieldType.TEXT, name) for name in contract.entities},
        {name: finder.find(f"{INPUT}.{name}", kind, name) for name, kind in contract.inputs.items()},
        dict(contract.inputs),
        kept=tuple(kept or ()),
    )
    finder.refuse_missing(columns.kept)
    return columns if kept is not None else _keeping_all(columns)


def bind_given(
    model: str,
    features: Sequence[str],
    schema: pa.Schema,
    given: Mapping[str, str],
    *,
    kept: Sequence[str] | None,
    timed: bool,
) -> Columns:
    """Find the columns that hold the features themselves.

    Args:
        model: The model's name.
        features: Full names, in the order of the vector.
        schema: Of the input.
        given: `feature.<name>`, `request_time` or `request_key` to column; the rest is found by the features'
            names, with the prefix or without.
        kept: Columns to write beside the scores; none when None.
        timed: Whether rows may have request times of their own.

    Raises:
        UnknownColumn: a column is not there, or what is given is nothing the model reads.
        WrongType: a column is not of the type it is read as.
    """
    _refuse_unknown(given, [REQUEST_TIME, REQUEST_KEY, *(f"{FEATURE}.{name}" for name in features)], model)
    finder = _Finder(schema, given)
    columns = Columns(
        finder.find_if_there(REQUEST_TIME, FieldType.TIME) if timed else None,
        finder.find_if_there(REQUEST_KEY, FieldType.TEXT),
        {},
        {},
        {},
        tuple(finder.find(f"{FEATURE}.{name}", FieldType.NUMBER, name) for name in features),
        tuple(kept or ()),
    )
    finder.refuse_missing(columns.kept)
    return columns


class _Finder:
    """Looks columns up in an input's schema."""

    def __init__(self, schema: pa.Schema, given: Mapping[str, str]) -> None:
        self._schema = schema
        self._given = given

    def find(self, role: str, kind: FieldType, *others: str) -> str:
        """Return the column of a role: the one given, or the first there is of its possible names."""
        names = [self._given[role]] if role in self._given else [role, *others]
        for name in names:
            if name in self._schema.names:
                return self._checked(role, name, kind)
        raise UnknownColumn(
            f"{role}: the input has no column {' or '.join(map(repr, names))}. "
            f"{did_you_mean(names[-1], self._schema.names)} Write --column {role}=COLUMN"
        )

    def find_if_there(self, role: str, kind: FieldType) -> str | None:
        """Return the column of a role that may be absent."""
        if role in self._given or role in self._schema.names:
            return self.find(role, kind)
        return None

    def refuse_missing(self, kept: Iterable[str]) -> None:
        """Refuse columns to keep that are not there."""
        for name in kept:
            if name not in self._schema.names:
                raise UnknownColumn(
                    f"--keep {name}: the input has no such column. {did_you_mean(name, self._schema.names)}"
                )

    def _checked(self, role: str, name: str, kind: FieldType) -> str:
        found = self._schema.field(name).type
        plain = found.value_type if pa.types.is_dictionary(found) else found
        # A column of nothing but nulls is of no type: whether they may be is asked of its rows.
        if not (_IS[kind](plain) or pa.types.is_null(plain)):
            raise WrongType(
                f"{role}: column {name!r} is {found}, and a {kind} is read: write it as one, or name another "
                f"column with --column {role}=COLUMN"
            )
        return name


def _refuse_unknown(given: Mapping[str, str], known: Sequence[str], model: str) -> None:
    for role in given:
        if role not in known:
            raise UnknownColumn(
                f"--column {role}=...: {model} reads no such thing. {did_you_mean(role, known)}"
            )


def _keeping_all(columns: Columns) -> Columns:
    written = {REQUEST_TIME, REQUEST_KEY}
    kept = tuple(
        dict.fromkeys(
            name for name in (*columns.entities.values(), *columns.inputs.values()) if name not in written
        )
    )
    return Columns(
        columns.request_time,
        columns.request_key,
        columns.entities,
        columns.inputs,
        columns.input_types,
        kept=kept,
    )


def requests_of(
    rows: pa.Table, columns: Columns, *, nulls: Nulls, at_us: int | None, where: Callable[[int], str]
) -> Requests:
    """Return the requests that rows make, in their order.

    Args:
        rows: A batch of the input.
        columns: Bound to it.
        nulls: Whether a null key or input is refused, or what reads it is MISSING.
        at_us: The time of every request; None where each row has its own.
        where: Names a row for errors, by its index.

    Raises:
        BadValue: a row holds what no request may.
    """
    return Requests(
        times_of(rows, columns.request_time, at_us, where),
        {
            name: _texts(rows[column], column, MAX_KEY_BYTES, nulls, where)
            for name, column in columns.entities.items()
        },
        {
            name: _inputs(rows[column], column, columns.input_types[name], nulls, where)
            for name, column in columns.inputs.items()
        },
    )


def times_of(
    rows: pa.Table, column: str | None, at_us: int | None, where: Callable[[int], str]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the request times of rows, int64[n].

    Raises:
        BadValue: a row has none, or one out of bounds.
    """
    if column is None:
        return np.full(len(rows), EARLIEST_US if at_us is None else at_us, np.int64)
    _refuse_nulls(rows[column], column, "refuse", where)
    time_us = from_arrow_column(FieldType.TIME, keep(rows[column], column, MOMENT))
    _refuse((time_us < EARLIEST_US) | (time_us >= LATEST_US), column, NO_TIME, where)
    return time_us


def _texts(
    column: pa.ChunkedArray, name: str, limit: int, nulls: Nulls, where: Callable[[int], str]
) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    _refuse_nulls(column, name, nulls, where)
    plain = column.cast(pa.string())
    too_long = pc.fill_null(pc.greater(pc.binary_length(plain), limit), False)  # noqa: FBT003
    _refuse(too_long.to_numpy(), name, f"is longer than {limit} bytes", where)
    return from_arrow_column(FieldType.TEXT, plain)


def _inputs(
    column: pa.ChunkedArray, name: str, kind: FieldType, nulls: Nulls, where: Callable[[int], str]
) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
    if kind is FieldType.TEXT:
        return _texts(column, name, MAX_TEXT_BYTES, nulls, where)
    _refuse_nulls(column, name, nulls, where)
    found = from_arrow_column(kind, keep(column, name, MOMENT) if kind is FieldType.TIME else column)
    given = pc.is_valid(column).to_numpy()
    if kind is FieldType.NUMBER:
        _refuse(given & ~np.isfinite(found), name, "must be a finite number", where)
    if kind is FieldType.TIME:
        _refuse(given & ((found < EARLIEST_US) | (found >= LATEST_US)), name, NO_TIME, where)
    return found


def _refuse_nulls(column: pa.ChunkedArray, name: str, nulls: Nulls, where: Callable[[int], str]) -> None:
    if nulls == "refuse" and column.null_count:
        _refuse(pc.is_null(column).to_numpy(), name, "is null; --nulls missing reads it as unknown", where)


def _refuse(
    wrong: np.ndarray[tuple[int], np.dtype[np.bool_]], name: str, problem: str, where: Callable[[int], str]
) -> None:
    if wrong.any():
        raise BadValue(f"column {name!r}, {where(int(np.argmax(wrong)))}: {problem}")
