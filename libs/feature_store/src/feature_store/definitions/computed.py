"""Features that no row holds: computed from the request, from other features, or by a Python function."""

from __future__ import annotations

import hashlib
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import cached_property
from typing import TYPE_CHECKING, Any

from feature_store.definitions.defaults import check_default
from feature_store.definitions.typing import demand_expression, type_over_features, type_over_requests
from feature_store.errors import DefinitionError, Location, caller
from feature_store.expressions import Expression, FieldType, lookup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_store.definitions.words import Words
    from feature_store.expressions import FeatureValue, Scope


@dataclass(frozen=True, eq=False)
class RequestTime:
    """A feature computed from the request alone.

    Attributes:
        name: The feature's name in contracts, vectors and logs.
        expression: A number or a flag, from `request(...)` inputs.
        default: What a model sees when the expression has no value. It must be finite.
        words: How it is said to people; part of no hash.
    """

    name: str
    expression: Expression
    default: float = 0.0
    location: Location | None = attribute(default_factory=caller, repr=False)
    words: Words | None = attribute(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_default(self.default, self._name, self.location)

    @property
    def full_name(self) -> str:
        """The feature's name: it belongs to no view."""
        return self.name

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """What it is computed from."""
        return (self.expression,)

    def check(self, scope: Scope) -> None:
        """Check what it reads against what a model's requests have.

        Raises:
            DefinitionError: an input is undeclared, or the result is neither a number nor a flag.
        """
        kind = type_over_requests(self.expression, scope, self._name, self.location)
        _demand_number(kind, self._name, self.location)

    @property
    def _name(self) -> str:
        return f"RequestTime({self.name!r})"


@dataclass(frozen=True, eq=False)
class Derived:
    """A feature computed from other features, and the request.

    It has a value where its expression has one. Where it has none, its status is the worst of its operands'
    (DEFAULTED, STALE, MISSING, in this order), and MISSING where all of them are present.

    Attributes:
        name: The feature's name in contracts, vectors and logs.
        expression: A number or a flag, from `feature_value(...)` and `request(...)`. A feature's value is a
            number (of a flag 0 or 1) before it is rounded to float32, and null unless it is present.
        default: What a model sees when the expression has no value. It must be finite.
        words: How it is said to people; part of no hash.
    """

    name: str
    expression: Expression
    default: float = 0.0
    location: Location | None = attribute(default_factory=caller, repr=False)
    words: Words | None = attribute(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_default(self.default, self.label, self.location)
        demand_expression(self.expression, self.label, self.location)

    @property
    def full_name(self) -> str:
        """The feature's name: it belongs to no view."""
        return self.name

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"Derived({self.name!r})"

    @property
    def operands(self) -> tuple[FeatureValue, ...]:
        """The features it reads."""
        return self.expression.features()

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """What it is computed from."""
        return (self.expression,)

    def check(self, scope: Scope) -> None:
        """Check what it reads against what a model's requests have, and its features.

        Raises:
            DefinitionError: an input is undeclared, or the result is neither a number nor a flag.
        """
        kind = type_over_features(self.expression, scope, self.label, self.location)
        _demand_number(kind, self.label, self.location)


OpaqueFunction = Callable[..., Any]
"""Columns by the names of `Opaque.inputs`, read-only, laid out as `FieldType` says but flags as bool, -> a
number for each row."""


@dataclass(frozen=True, eq=False)
class Opaque:
    """A feature computed by a Python function, once a batch: slower, and without a form in ONNX.

    Write it as an expression where that is possible. The function must be pure, and give each row what it
    would give it alone: else online and offline differ, and nobody can tell. A NaN or an infinity is no
    value, with a status as `Derived` has it; an exception, or a result of another shape or type, makes the
    feature DEFAULTED in the whole batch.

    Attributes:
        name: The feature's name in contracts, vectors and logs.
        function: Takes the inputs by name. The contract holds the hash of its source, not of what it calls.
        inputs: What it is given: expressions over `request(...)` and `feature_value(...)`.
        default: What a model sees when there is no value. It must be finite.
        words: How it is said to people; part of no hash.
    """

    name: str
    function: OpaqueFunction
    inputs: Mapping[str, Expression]
    default: float = 0.0
    location: Location | None = attribute(default_factory=caller, repr=False)
    words: Words | None = attribute(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_default(self.default, self.label, self.location)
        if not self.inputs:
            instead = 'Write inputs={"x": request(...)} with what the function is given.'
            raise DefinitionError(self.label, "it has no inputs", instead=instead, at=self.location)
        for given in self.inputs.values():
            demand_expression(given, self.label, self.location)
        try:
            _ = self.source_hash
        except (OSError, TypeError) as error:
            instead = "Write it with def in a module."
            problem = "the source of its function cannot be read, so no contract can tell when it changes"
            raise DefinitionError(self.label, problem, instead=instead, at=self.location) from error

    @cached_property
    def source_hash(self) -> str:
        """SHA-256 of the function's source as it stands, its indentation taken off; hex."""
        return hashlib.sha256(textwrap.dedent(inspect.getsource(self.function)).encode()).hexdigest()

    @property
    def full_name(self) -> str:
        """The feature's name: it belongs to no view."""
        return self.name

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"Opaque({self.name!r})"

    @property
    def operands(self) -> tuple[FeatureValue, ...]:
        """The features it reads."""
        return tuple(operand for given in self.inputs.values() for operand in given.features())

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """What it is computed from."""
        return tuple(self.inputs.values())

    def check(self, scope: Scope) -> None:
        """Check what it reads against what a model's requests have, and its features.

        Raises:
            DefinitionError: an input is undeclared, or no expression.
        """
        for name, given in self.inputs.items():
            type_over_features(given, scope, f"{self.label}: input {name!r}", self.location)


def embedding(
    name: str,
    x: Expression,
    vectors: Mapping[str, Sequence[float]],
    *,
    size: int,
    otherwise: float | None = None,
) -> list[RequestTime | Derived]:
    """Return features `name_0` ... that hold the vector which a table has for a text; list them with `*`.

    Args:
        name: Of the features, before `_0`.
        x: The text, from `request(...)`.
        vectors: Text to its vector.
        size: The vectors' length.
        otherwise: Every component for a text without a vector; None where the features are then missing.

    Raises:
        DefinitionError: a vector has another length.
    """
    for text, vector in vectors.items():
        if len(vector) != size:
            problem = f"the vector of {text!r} has {len(vector)} numbers"
            instead = f"Write size={size} numbers for each text."
            raise DefinitionError(f"embedding({name!r})", problem, instead=instead, at=caller())
    feature = Derived if x.features() else RequestTime
    return [
        feature(
            f"{name}_{place}",
            lookup(x, {text: vector[place] for text, vector in vectors.items()}, otherwise=otherwise),
        )
        for place in range(size)
    ]


def _demand_number(kind: FieldType, definition: str, at: Location | None) -> None:
    if kind not in {FieldType.NUMBER, FieldType.FLAG}:
        instead = "Compare a text, take a calendar part of a time, or divide a duration by a timedelta."
        raise DefinitionError(definition, f"its value is a {kind}", instead=instead, at=at)
