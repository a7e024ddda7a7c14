"""What a source promises of a whole day of its events.

A check (`feature_store.checks`) judges one event at the door and refuses it. An expectation judges a day of
events that passed the door, and refuses nothing: rows depend on no expectation, so it is part of no hash.
`data_quality` judges them; here they are declared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from feature_store.definitions.durations import microseconds
from feature_store.errors import DefinitionError, TypeMismatchError, caller
from feature_store.expressions import Field, FieldType, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from feature_store.checks import SourceCheck
    from feature_store.definitions.sources import Source
    from feature_store.expressions import Expression

DAY: Final = timedelta(days=1)


class Expectation(Protocol):
    """Something that is true of a day of events, unless something broke."""

    def fit(self, fields: Mapping[str, FieldType]) -> None:
        """Check that it can be asked of events with these fields.

        Raises:
            UnsoundExpressionError: it cannot.
        """

    @property
    def statistic(self) -> str:
        """What is measured, such as "null_rate"."""

    @property
    def subject(self) -> str:
        """The field or fields it is about; empty for the events as a whole."""


class Expect:
    """The expectations a source can declare. Shares are between 0 and 1."""

    @staticmethod
    def null_rate(field: str, *, at_most: float, where: Expression | None = None) -> Expectation:
        """Expect that at most this share of the events has no value in a field."""
        _share("null_rate", at_most)
        return NullRate(field, at_most, where)

    @staticmethod
    def passes(check: SourceCheck, *, at_least: float) -> Expectation:
        """Expect that at least this share of the events passes a check that need not hold for every one."""
        _share("passes", at_least)
        return Passes(check, at_least)

    @staticmethod
    def unique(*fields: str) -> Expectation:
        """Expect that no two events of a day are alike in these fields.

        An event that was delivered twice, with one id, is one event. One without a value in any of the fields
        is like no other.
        """
        if not fields:
            raise _refused("unique()", "it names no field", "Name one or more.")
        return Unique(fields)

    @staticmethod
    def fresh(*, within: timedelta) -> Expectation:
        """Expect that at each moment of the day the newest event known is no older than this."""
        if within <= timedelta(0):
            raise _refused(f"fresh(within={within})", "nothing is so fresh", "Write a positive timedelta.")
        return Fresh(within)

    @staticmethod
    def volume(*, at_least: int = 0, at_most: float = math.inf) -> Expectation:
        """Expect a number of events a day, both bounds allowed."""
        if not 0 <= at_least <= at_most:
            raise _refused(
                f"volume(at_least={at_least}, at_most={at_most})",
                "no number lies between",
                "Write the smaller number first, zero or more.",
            )
        return Volume(at_least, at_most)

    @staticmethod
    def references(
        field: str,
        source: Source,
        their_field: str,
        *,
        at_least: float,
        within: timedelta = DAY,
        where: Expression | None = None,
    ) -> Expectation:
        """Expect that another source's events named this share of a field's values.

        Looked at are its events of the day and of `within` before it; a null refers to nothing and is left
        out.
        """
        _share("references", at_least)
        if within < timedelta(0):
            raise _refused(f"references(within={within})", "it is negative", "Write zero or more.")
        kind = source.fields.get(their_field)
        if kind is not FieldType.TEXT:
            problem = f"source {source.topic} has no text field {their_field!r}"
            raise _refused(f"references({field!r})", problem, "Name a text that its events carry.")
        return References(field, source, their_field, at_least, within, where)

    @staticmethod
    def refused(*, at_most: float) -> Expectation:
        """Expect that at most this share of what was sent in a day was refused by the checks."""
        _share("refused", at_most)
        return Refused(at_most)


@dataclass(frozen=True, slots=True)
class NullRate:
    """See `Expect.null_rate`."""

    field: str
    at_most: float
    where: Expression | None = None

    statistic = "null_rate"

    @property
    def subject(self) -> str:
        """See `Expectation.subject`."""
        return self.field

    def fit(self, fields: Mapping[str, FieldType]) -> None:
        """Demand that the fields are known."""
        _type(self.field, fields)
        _condition(self.where, fields)


@dataclass(frozen=True, slots=True)
class Passes:
    """See `Expect.passes`."""

    check: SourceCheck
    at_least: float

    statistic = "passes"

    @property
    def subject(self) -> str:
        """See `Expectation.subject`."""
        return self.check.about

    def fit(self, fields: Mapping[str, FieldType]) -> None:
        """Demand what the check demands."""
        self.check.fit(fields)


@dataclass(frozen=True, slots=True)
class Unique:
    """See `Expect.unique`."""

    fields: tuple[str, ...]

    statistic = "repeated"

    @property
    def subject(self) -> str:
        """See `Expectation.subject`."""
        return ", ".join(self.fields)

    def fit(self, fields: Mapping[str, FieldType]) -> None:
        """Demand that the fields are known."""
        for name in self.fields:
            _type(name, fields)


@dataclass(frozen=True, slots=True)
class Fresh:
    """See `Expect.fresh`."""

    within: timedelta

    statistic = "oldest_seconds"
    subject = ""

    @property
    def within_us(self) -> int:
        """`within` in microseconds."""
        return microseconds(self.within)

    def fit(self, fields: Mapping[str, FieldType]) -> None:
        """Demand nothing of the fields."""


@dataclass(frozen=True, slots=True)
class Volume:
    """See `Expect.volume`."""

    at_least: int
    at_most: float

    statistic = "events"
    subject = ""

    def fit(self, fields: Mapping[str, FieldType]) -> None:
        """Demand nothing of the fields."""


@dataclass(frozen=True, slots=True)
class References:
    """See `Expect.references`."""

    field: str
    source: Source
    their_field: str
    at_least: float
    within: timedelta
    where: Expression | None = None

    statistic = "known_share"

    @property
    def subject(self) -> str:
        """See `Expectation.subject`."""
        return self.field

    @property
    def within_us(self) -> int:
        """`within` in microseconds."""
        return microseconds(self.within)

    def fit(self, fields: Mapping[str, FieldType]) -> None:
        """Demand a text, which is what the other field is."""
        kind = _type(self.field, fields)
        if kind is not FieldType.TEXT:
            raise TypeMismatchError(f"field({self.field!r}) is a {kind}", "Name a field that is a text.")
        _condition(self.where, fields)


@dataclass(frozen=True, slots=True)
class Refused:
    """See `Expect.refused`."""

    at_most: float

    statistic = "refused_share"
    subject = ""

    def fit(self, fields: Mapping[str, FieldType]) -> None:
        """Demand nothing of the fields."""


def _share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise _refused(f"{name}({value})", "it is no share", "Write a number between 0 and 1.")


def _refused(what: str, problem: str, instead: str) -> DefinitionError:
    return DefinitionError(f"Expect.{what}", problem, instead=instead, at=caller())


def _type(name: str, fields: Mapping[str, FieldType]) -> FieldType:
    return Field(name).type_in(Scope(fields, {}, "its payload"))


def _condition(where: Expression | None, fields: Mapping[str, FieldType]) -> None:
    if where is None:
        return
    kind = where.type_in(Scope(fields, {}, "its payload"))
    if kind is not FieldType.FLAG:
        raise TypeMismatchError(f"where is a {kind}", "Write a condition, such as field(...) >= 0.")
