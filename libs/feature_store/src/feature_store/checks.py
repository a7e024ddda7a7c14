"""What a source demands of its events beyond their types. A check sees whole columns and refuses rows."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from feature_store.errors import DefinitionError, TypeMismatchError, caller
from feature_store.expressions import Field, FieldType, Scope, nulls
from feature_store.rejects import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from feature_store.expressions import Expression
    from feature_store.formats import Columns
    from feature_store.rejects import Rejects


class SourceCheck(Protocol):
    """Refuses events. A null passes every check but `required`."""

    @property
    def about(self) -> str:
        """The fields it reads and what it demands of them, in words."""

    def fit(self, fields: Mapping[str, FieldType]) -> None:
        """Check that it can be asked of events with these fields.

        Raises:
            UnsoundExpressionError: it cannot.
        """

    def refuse(self, columns: Columns, kinds: Mapping[str, FieldType], rejects: Rejects) -> None:
        """Add every row that does not pass to `rejects`."""


class Check:
    """The checks a source can declare."""

    @staticmethod
    def required(*fields: str) -> SourceCheck:
        """Demand a value in each field: not null, and a text not empty."""
        return Required(fields)

    @staticmethod
    def range(field: str, low: float = -math.inf, high: float = math.inf) -> SourceCheck:
        """Demand that a number lies between `low` and `high`, both allowed."""
        if not low <= high:
            raise DefinitionError(
                f"Check.range({field!r}, {low}, {high})",
                "no number lies in it",
                instead="Write the smaller number first.",
                at=caller(),
            )
        return Range(field, low, high)

    @staticmethod
    def one_of(field: str, allowed: Sequence[str]) -> SourceCheck:
        """Demand that a text is one of these."""
        return OneOf(field, frozenset(allowed))

    @staticmethod
    def matches(field: str, pattern: str) -> SourceCheck:
        """Demand that a whole text matches a regular expression."""
        try:
            return Matches(field, re.compile(pattern))
        except re.error as error:
            problem = f"{pattern!r} is no regular expression: {error}"
            instead = "Write one that Python's re module reads."
            raise DefinitionError(
                f"Check.matches({field!r})", problem, instead=instead, at=caller()
            ) from error

    @staticmethod
    def that(condition: Expression, reason: str) -> SourceCheck:
        """Demand that a condition over the fields holds; refuse with this reason where it does not."""
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", reason):
            instead = 'Write upper snake case, such as "SEEN_BEFORE_SENT".'
            raise DefinitionError(
                f"Check.that(reason={reason!r})", "it is no reason", instead=instead, at=caller()
            )
        return That(condition, reason)


@dataclass(frozen=True, slots=True)
class Required:
    """See `Check.required`."""

    names: tuple[str, ...]

    @property
    def about(self) -> str:
        """See `SourceCheck.about`."""
        return f"{', '.join(self.names)} given"

    def fit(self, fields: Mapping[str, FieldType]) -> None:
        """Demand that the fields are known."""
        for name in self.names:
            _type(name, fields)

    def refuse(self, columns: Columns, kinds: Mapping[str, FieldType], rejects: Rejects) -> None:
        """Refuse rows where one of the fields is null or an empty text."""
        for name in self.names:
            missing = nulls(kinds[name], columns[name])
            if kinds[name] is FieldType.TEXT:
                missing |= np.equal(columns[name], "").astype(np.bool_)
            for index in np.flatnonzero(missing).tolist():
                rejects.add(index, Reason.MISSING_FIELD, f"{name} has no value; the source requires it.")


@dataclass(frozen=True, slots=True)
class Range:
    """See `Check.range`."""

    field: str
    low: float
    high: float

    @property
    def about(self) -> str:
        """See `SourceCheck.about`."""
        return f"{self.field} in {self.low:g} to {self.high:g}"

    def fit(self, fields: Mapping[str, FieldType]) -> None:
        """Demand a number."""
        _demand(self.field, FieldType.NUMBER, fields)

    def refuse(self, columns: Columns, kinds: Mapping[str, FieldType], rejects: Rejects) -> None:
        """Refuse rows whose number is outside."""
        del kinds
        column = columns[self.field]
        for index in np.flatnonzero((column < self.low) | (column > self.high)).tolist():
            detail = f"{self.field} is {column[index]}; it must lie between {self.low} and {self.high}."
            rejects.add(index, Reason.OUT_OF_RANGE, detail)


@dataclass(frozen=True, slots=True)
class OneOf:
    """See `Check.one_of`."""

    field: str
    allowed: frozenset[str]

    @property
    def about(self) -> str:
        """See `SourceCheck.about`."""
        return f"{self.field} in {', '.join(sorted(self.allowed))}"

    def fit(self, fields: Mapping[str, FieldType]) -> None:
        """Demand a text."""
        _demand(self.field, FieldType.TEXT, fields)

    def refuse(self, columns: Columns, kinds: Mapping[str, FieldType], rejects: Rejects) -> None:
        """Refuse rows whose text is none of the allowed."""
        del kinds
        for index, text in enumerate(columns[self.field]):
            if text is not None and text not in self.allowed:
                detail = f"{self.field} is {text!r}; it must be one of {', '.join(sorted(self.allowed))}."
                rejects.add(index, Reason.NOT_ALLOWED, detail)


@dataclass(frozen=True, slots=True)
class Matches:
    """See `Check.matches`."""

    field: str
    pattern: re.Pattern[str]

    @property
    def about(self) -> str:
        """See `SourceCheck.about`."""
        return f"{self.field} like {self.pattern.pattern}"

    def fit(self, fields: Mapping[str, FieldType]) -> None:
        """Demand a text."""
        _demand(self.field, FieldType.TEXT, fields)

    def refuse(self, columns: Columns, kinds: Mapping[str, FieldType], rejects: Rejects) -> None:
        """Refuse rows whose text does not match as a whole."""
        del kinds
        for index, text in enumerate(columns[self.field]):
            if text is not None and not self.pattern.fullmatch(text):
                detail = f"{self.field} is {text!r}; it must match {self.pattern.pattern!r}."
                rejects.add(index, Reason.NO_MATCH, detail)


@dataclass(frozen=True, slots=True)
class That:
    """See `Check.that`."""

    condition: Expression
    reason: str

    @property
    def about(self) -> str:
        """See `SourceCheck.about`."""
        return str(self.condition)

    def fit(self, fields: Mapping[str, FieldType]) -> None:
        """Demand a condition over known fields."""
        kind = self.condition.type_in(Scope(fields, {}, "its payload"))
        if kind is not FieldType.FLAG:
            raise TypeMismatchError(
                f"its condition is a {kind}", "Write a condition, such as field(...) >= 0."
            )

    def refuse(self, columns: Columns, kinds: Mapping[str, FieldType], rejects: Rejects) -> None:
        """Refuse rows where the condition is not true."""
        n = len(next(iter(columns.values())))
        holds: NDArray[Any] = self.condition.evaluate(columns, n)
        for index in np.flatnonzero(~holds).tolist():
            values = ", ".join(
                f"{name} is {_shown(kinds[name], columns[name][index])}"
                for name in sorted(self.condition.fields())
            )
            rejects.add(index, self.reason, f"{self.condition} does not hold: {values}.")


def _shown(kind: FieldType, value: Any) -> str:
    """Return a value as its sender would write it, and not as a column holds it."""
    if nulls(kind, np.array([value]))[0]:
        return "null"
    match kind:
        case FieldType.TIME:
            return f"{np.datetime64(int(value), 'us')}Z"
        case FieldType.FLAG:
            return "true" if value else "false"
        case _:
            return repr(value) if isinstance(value, str) else str(value)


def _type(name: str, fields: Mapping[str, FieldType]) -> FieldType:
    return Field(name).type_in(Scope(fields, {}, "its payload"))


def _demand(name: str, kind: FieldType, fields: Mapping[str, FieldType]) -> None:
    actual = _type(name, fields)
    if actual is not kind:
        raise TypeMismatchError(f"field({name!r}) is a {actual}", f"Name a field that is a {kind}.")
