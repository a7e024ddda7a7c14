"""Expressions over an event's fields, a request's inputs or features: a declared computation, no function.

An expression is a tree of the nodes below. It can be evaluated over columns, asked what it reads,
type-checked, and written in a canonical form. Nothing in it is opaque, so the same tree can be carried to
another runtime. See `types` for what null is and `operators` for what each operator does with it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, Protocol

import numpy as np

from feature_store.errors import DefinitionError, TypeMismatchError, caller
from feature_store.expressions.operators import OPERATORS
from feature_store.expressions.scopes import AS_OF
from feature_store.expressions.tables import Table
from feature_store.expressions.types import FieldType, dtype_of, equals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from feature_store.expressions.scopes import Scope
    from feature_store.expressions.types import Value

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ONE_TYPE: Final = (
    "Combine numbers with numbers, texts with texts, times with timedeltas, conditions with & | ~."
)


class NamedFeature(Protocol):
    """A feature as an expression refers to it."""

    @property
    def full_name(self) -> str:
        """Its name in contracts, vectors and logs."""


class Expression:
    """A declared computation over named columns. Python's operators on it only build larger ones."""

    __slots__ = ()

    def evaluate(self, columns: Mapping[str, NDArray[Any]], n: int) -> NDArray[Any]:
        """Return the column of `n` values that this expression has over `columns`.

        Columns are laid out as `FieldType` says, and so is the result, but for one thing: a flag comes back
        as bool, its null as False. A number without a finite value is null. The types must have been checked
        (`type_in`) before. The result may be one of the columns itself: it is not to be written to.
        """
        value = _value(self, columns)
        column: NDArray[Any] = value if getattr(value, "shape", None) == (n,) else _filled(value, n)
        match column.dtype.kind:
            case "m":
                return column.view(np.int64)
            case "i":
                return equals(column, 1)
        return column

    def fields(self) -> frozenset[str]:
        """Return the names of the event's fields it reads."""
        return frozenset(node.name for node in _walk(self) if isinstance(node, Field))

    def requests(self) -> frozenset[str]:
        """Return the names of the request's inputs it reads."""
        return frozenset(node.name for node in _walk(self) if isinstance(node, Request))

    def features(self) -> tuple[FeatureValue, ...]:
        """Return the references to features in it, in the order in which they are written."""
        return tuple(node for node in _walk(self) if isinstance(node, FeatureValue))

    def entity_keys(self) -> tuple[str, ...]:
        """Return the names of the request's entity keys it reads, in the order in which they are written."""
        return tuple(dict.fromkeys(node.part for node in _walk(self) if isinstance(node, EntityKey)))

    def operators(self) -> frozenset[str]:
        """Return the names of the operators in it."""
        return frozenset(node.operator for node in _walk(self) if isinstance(node, Apply))

    def type_in(self, scope: Scope) -> FieldType:
        """Return the type of the result where these names are known.

        Raises:
            UnknownNameError: it reads a name that is not in scope.
            TypeMismatchError: it applies an operator to types it has no meaning for.
        """
        return _type(self, scope)

    def canonical(self) -> str:
        """Return the form that is equal for equal expressions, the same in every process: compact JSON."""
        return json.dumps(
            _tree(self), separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=Table.canonical
        )

    def __str__(self) -> str:
        return _text(self)

    def is_null(self) -> Expression:
        """Is there no value?"""
        return Apply("is_null", (self,))

    def is_in(self, members: Iterable[str] | Iterable[float]) -> Expression:
        """Is the value one of these texts, or one of these numbers? Null is in nothing."""
        return _membership(self, tuple(members))

    def cast(self, to: Literal["number", "flag"]) -> Expression:
        """Turn a flag into 0 or 1, or a number into the flag that says whether it differs from 0."""
        return Apply(f"to_{to}", (self,))

    def __add__(self, other: Operand) -> Expression:
        return Apply("add", (self, as_expression(other)))

    def __radd__(self, other: Operand) -> Expression:
        return Apply("add", (as_expression(other), self))

    def __sub__(self, other: Operand) -> Expression:
        return Apply("subtract", (self, as_expression(other)))

    def __rsub__(self, other: Operand) -> Expression:
        return Apply("subtract", (as_expression(other), self))

    def __mul__(self, other: Operand) -> Expression:
        return Apply("multiply", (self, as_expression(other)))

    def __rmul__(self, other: Operand) -> Expression:
        return Apply("multiply", (as_expression(other), self))

    def __truediv__(self, other: Operand) -> Expression:
        return Apply("divide", (self, as_expression(other)))

    def __rtruediv__(self, other: Operand) -> Expression:
        return Apply("divide", (as_expression(other), self))

    def __abs__(self) -> Expression:
        return Apply("absolute", (self,))

    def __round__(self) -> Expression:
        return Apply("round", (self,))

    def __neg__(self) -> Expression:
        return Apply("negative", (self,))

    def __eq__(self, other: Operand) -> Expression:  # type: ignore[override]
        return Apply("equal", (self, as_expression(other)))

    def __ne__(self, other: Operand) -> Expression:  # type: ignore[override]
        return Apply("not_equal", (self, as_expression(other)))

    def __lt__(self, other: Operand) -> Expression:
        return Apply("less", (self, as_expression(other)))

    def __le__(self, other: Operand) -> Expression:
        return Apply("less_equal", (self, as_expression(other)))

    def __gt__(self, other: Operand) -> Expression:
        return Apply("greater", (self, as_expression(other)))

    def __ge__(self, other: Operand) -> Expression:
        return Apply("greater_equal", (self, as_expression(other)))

    def __and__(self, other: Expression) -> Expression:
        return Apply("and", (self, as_expression(other)))

    def __or__(self, other: Expression) -> Expression:
        return Apply("or", (self, as_expression(other)))

    def __invert__(self) -> Expression:
        return Apply("not", (self,))

    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise DefinitionError(
            str(self),
            "an expression has no truth value while it is being written",
            instead="Write & | ~ for and, or, not, with each comparison in parentheses.",
            at=caller(),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Field(Expression):
    """The event's field of this name."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Request(Expression):
    """The request's input of this name."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class EntityKey(Expression):
    """The key that the request gives under this name; null where it is empty."""

    part: str

    @property
    def name(self) -> str:
        """What its column is called: no input of a request is."""
        return f"entity_key({self.part!r})"


@dataclass(frozen=True, slots=True, eq=False)
class AsOf(Expression):
    """The event's own time, or the request's."""

    @property
    def name(self) -> str:
        """What its column is called."""
        return AS_OF


@dataclass(frozen=True, slots=True, eq=False)
class FeatureValue(Expression):
    """The value of a feature, before it is rounded to float32; null where the vector holds its default.

    Attributes:
        of: The feature, or the name of one that the model lists.
    """

    of: NamedFeature | str

    @property
    def full_name(self) -> str:
        """The feature's name."""
        return self.of if isinstance(self.of, str) else self.of.full_name

    @property
    def name(self) -> str:
        """What its column is called: no input of a request is."""
        return f"feature_value({self.full_name!r})"


@dataclass(frozen=True, slots=True, eq=False)
class Constant(Expression):
    """A value written in the definition: a float, a str, or microseconds for a time or a duration."""

    kind: FieldType
    value: float | str


@dataclass(frozen=True, slots=True, eq=False)
class Apply(Expression):
    """An operator of `OPERATORS` on expressions.

    Attributes:
        parameters: What is fixed in the definition: a zone, the members of a set, a table or its entries.
    """

    operator: str
    operands: tuple[Expression, ...]
    parameters: tuple[str | float | Table | None, ...] = ()


Operand = Expression | float | str | timedelta | datetime


def as_expression(operand: Operand) -> Expression:
    """Return what a definition wrote, as an expression.

    Raises:
        DefinitionError: it is nothing an expression can hold.
    """
    match operand:
        case Expression():
            return operand
        case str():
            return Constant(FieldType.TEXT, operand)
        case timedelta():
            return Constant(FieldType.DURATION, operand // _MICROSECOND)
        case datetime() if operand.tzinfo is not None:
            return Constant(FieldType.TIME, (operand - _EPOCH) // _MICROSECOND)
        case int() | float() if not isinstance(operand, bool) and math.isfinite(operand):
            return Constant(FieldType.NUMBER, float(operand))
    raise DefinitionError(
        repr(operand),
        "it cannot stand in an expression",
        instead="Write a finite number, a text, a timedelta, a datetime with a zone, field(...) or "
        "request(...); for None use .is_null(), for True and False the flag itself or ~flag.",
        at=caller(),
    )


def _membership(operand: Expression, members: tuple[Any, ...]) -> Expression:
    if members and all(isinstance(member, str) for member in members):
        return Apply("is_in_texts", (operand,), tuple(sorted(set(members))))
    if members and all(isinstance(member, (int, float)) and math.isfinite(member) for member in members):
        return Apply("is_in_numbers", (operand,), tuple(sorted({float(member) for member in members})))
    raise DefinitionError(
        f"is_in({list(members)!r})",
        "its members are not all texts or all finite numbers",
        instead='Write at least one, such as ["JFK", "LGA"].',
        at=caller(),
    )


def _walk(node: Expression) -> Iterator[Expression]:
    yield node
    if isinstance(node, Apply):
        for operand in node.operands:
            yield from _walk(operand)


def _filled(value: Value, n: int) -> NDArray[Any]:
    return np.full(n, value, dtype=np.object_ if isinstance(value, str) else None)


def _value(node: Expression, columns: Mapping[str, NDArray[Any]]) -> Value:
    if isinstance(node, Apply):
        operands = [_value(operand, columns) for operand in node.operands]
        return OPERATORS[node.operator].compute(*operands, *node.parameters)
    if isinstance(node, Constant):
        return np.timedelta64(int(node.value), "us") if dtype_of(node.kind) == np.int64 else node.value
    assert isinstance(node, (Field, Request, EntityKey, AsOf, FeatureValue))
    column = columns[node.name]
    return column.view("m8[us]") if column.dtype == np.int64 else column


def _type(node: Expression, scope: Scope) -> FieldType:
    if isinstance(node, Constant):
        return node.kind
    if not isinstance(node, Apply):
        return scope.type_of(*_read(node))
    kinds = tuple(_type(operand, scope) for operand in node.operands)
    operator = OPERATORS[node.operator]
    if kinds not in operator.signatures:
        raise TypeMismatchError(f"{_written(node, kinds)} has no meaning", _ONE_TYPE)
    return operator.signatures[kinds]


def _read(node: Expression) -> tuple[str, str]:
    """Return what a leaf reads: as a definition writes it, and its name."""
    match node:
        case Field():
            return "field", node.name
        case Request():
            return "request", node.name
        case EntityKey():
            return "entity_key", node.part
        case FeatureValue():
            return "feature_value", node.full_name
    return "as_of", ""


def _tree(node: Expression) -> list[Any]:
    match node:
        case Constant():
            return [str(node.kind), node.value]
        case Apply():
            return [node.operator, *(_tree(operand) for operand in node.operands), *node.parameters]
        case AsOf():
            return ["as_of"]
        case FeatureValue():
            return ["feature", node.full_name]
    return list(_read(node))


def _text(node: Expression) -> str:
    match node:
        case Constant(FieldType.DURATION | FieldType.TIME):
            return repr(timedelta(microseconds=int(node.value)))
        case Constant():
            return repr(node.value)
        case Field():
            return f"field({node.name!r})"
        case Request():
            return f"request({node.name!r})"
        case EntityKey() | AsOf() | FeatureValue():
            return node.name
    assert isinstance(node, Apply)
    enclose = str if "({0}" in OPERATORS[node.operator].template else _enclosed
    return _written(node, [enclose(operand) for operand in node.operands])


def _enclosed(operand: Expression) -> str:
    return f"({operand})" if isinstance(operand, Apply) and len(operand.operands) > 1 else str(operand)


def _written(node: Apply, operands: Sequence[str]) -> str:
    texts = [repr(parameter) for parameter in node.parameters]
    parameters = ", ".join(texts)
    if node.operator.startswith("is_in"):
        parameters = f"[{parameters}]"
    elif node.operator.startswith("look_up"):
        entries = ", ".join(f"{key}: {value}" for key, value in zip(texts[1::2], texts[2::2], strict=True))
        parameters = f"{{{entries}}}, otherwise={texts[0]}"
    return OPERATORS[node.operator].template.format(*operands, parameters=parameters)
