"""Dimensions: tables of what is known of a key beside its events, such as an aircraft's seats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from feature_store.errors import DefinitionError, Location, caller, did_you_mean
from feature_store.expressions import Apply, AsOf, Expression, FieldType, Table, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KINDS: Final = (FieldType.NUMBER, FieldType.TEXT, FieldType.TIME, FieldType.FLAG)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FLAGS: Final = {"true": 1, "false": 0}
_WRITE: Final = {
    FieldType.NUMBER: "a finite number",
    FieldType.TEXT: "a text",
    FieldType.TIME: "a time with its offset, such as 2013-01-01T00:00:00Z",
    FieldType.FLAG: "true or false",
}


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a dimension as it is written: its values by column, and the line it stands in.

    A value is a text to be read as the column's type, or of Python's type for it; None or "" is null.
    """

    values: Mapping[str, object]
    at: Location | None = None


@dataclass(frozen=True, eq=False)
class Attribute:
    """A column of a dimension, to be read by key.

    Attributes:
        table: Its values.
    """

    table: Table

    def of(self, key: Expression) -> Expression:
        """Return what the dimension has for a key, a text; null for a null key and for one that it lacks.

        Of a dimension with `valid_from` it is what it had at the event's own time, or at the request's.
        """
        operands = (key, AsOf()) if self.table.is_timed else (key,)
        return Apply(f"attribute_{self.table.kind}", operands, (self.table,))


@dataclass(frozen=True, eq=False)
class Dimension:
    """A table that belongs to the project, read where the project is loaded.

    Its contents take part in the hash of whatever reads them: with another table, a view is another version
    of itself, and a contract another contract. What changes while the platform runs flows as events instead,
    into a view with `Last(..., window="all")`.

    Attributes:
        name: How messages and canonical forms call it.
        key: The column with the key: a text, in no two rows alike, unless they begin at different times.
        attributes: The columns to be read, with their types: number, text, time or flag.
        rows: The table, from `csv_rows(path)`, or mappings from columns to values.
        valid_from: The column with the time from which on a row is valid, up to the next one of its key.
        description: For the catalogue, as is the next; part of no hash.
        owner: Whom to ask.
    """

    name: str
    key: str
    attributes: Mapping[str, FieldType | str]
    rows: Iterable[TableRow | Mapping[str, object]] = attribute(repr=False)
    valid_from: str | None = None
    description: str = ""
    owner: str = ""
    location: Location | None = attribute(default_factory=caller, repr=False)

    def __post_init__(self) -> None:
        if not self.attributes:
            self._refuse("it has no attributes", 'Write attributes={"seats": "number"}.')
        for name, kind in self.attributes.items():
            if kind not in _KINDS:
                self._refuse(f"attribute {name!r} is a {str(kind)!r}", f"Write one of {', '.join(_KINDS)}.")
        if not self._keyed:
            self._refuse("it has no rows", "Write at least one row.")
        # Reads every cell, so that whatever is wrong with one is said while the project loads.
        _ = self.tables

    def __getitem__(self, name: str) -> Attribute:
        """Return an attribute.

        Raises:
            DefinitionError: there is none of this name.
        """
        if name not in self.tables:
            raise DefinitionError(
                f"Dimension({self.name!r})",
                f"it has no attribute {name!r}",
                instead=did_you_mean(name, self.attributes),
                at=caller(),
            )
        return Attribute(self.tables[name])

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """The attributes' values by name."""
        is_timed = self.valid_from is not None
        return MappingProxyType(
            {
                name: Table(
                    f"{self.name}[{name!r}]",
                    FieldType(kind),
                    [
                        Version(*begins, self._read(row, name, FieldType(kind)))
                        for begins, row in self._keyed.items()
                    ],
                    is_timed=is_timed,
                )
                for name, kind in self.attributes.items()
            }
        )

    @cached_property
    def _keyed(self) -> Mapping[tuple[str, int], TableRow]:
        """The rows by key and the time from which on they are valid, in microseconds."""
        found: dict[tuple[str, int], TableRow] = {}
        for number, given in enumerate(self.rows, 1):
            row = given if isinstance(given, TableRow) else TableRow(given, self.location)
            key = self._read(row, self.key, FieldType.TEXT)
            from_us = 0 if self.valid_from is None else self._read(row, self.valid_from, FieldType.TIME)
            if key is None or from_us is None:
                missing = self.key if key is None else self.valid_from
                self._refuse(f"row {number} has no {missing!r}", "Give it one, or remove the row.", row.at)
            other = found.setdefault((key, from_us), row)
            if other is not row:
                problem = f"row {number} has the key {key!r} of another row, at {other.at}"
                instead = "Remove one; of a key that changes, name the column valid_from=."
                self._refuse(problem, instead, row.at)
        return found

    def _read(self, row: TableRow, column: str, kind: FieldType) -> Any:
        """Return a value of a row: float, str, int for a time or a flag; None for null."""
        if column not in row.values:
            problem = f"its rows have no column {column!r}"
            self._refuse(problem, did_you_mean(column, map(str, row.values)), row.at)
        value = row.values[column]
        if value is None or value == "":
            return None
        try:
            return _READERS[kind](value)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            problem = f"column {column!r}: {value!r} is no {kind}"
            instead = f"Write {_WRITE[kind]}, or nothing."
            raise DefinitionError(self._label, problem, instead=instead, at=row.at) from error

    @property
    def _label(self) -> str:
        return f"Dimension({self.name!r})"

    def _refuse(self, problem: str, instead: str, at: Location | None = None) -> NoReturn:
        raise DefinitionError(self._label, problem, instead=instead, at=at or self.location)


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(value)
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _time_us(value: Any) -> int:
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    if time.tzinfo is None:
        raise ValueError(value)
    microseconds: int = (time - _EPOCH) // timedelta(microseconds=1)
    return microseconds


def _flag(value: Any) -> int:
    return int(value) if isinstance(value, bool) else _FLAGS[value.lower()]


_READERS: Final = {
    FieldType.NUMBER: _number,
    FieldType.TEXT: _text,
    FieldType.TIME: _time_us,
    FieldType.FLAG: _flag,
}
