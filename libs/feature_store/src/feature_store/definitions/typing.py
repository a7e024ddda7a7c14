"""Type-checks an expression of a definition and turns what it finds into a `DefinitionError`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_store.definitions.sensitive import refuse_concealed
from feature_store.errors import DefinitionError, Location, UnsoundExpressionError
from feature_store.expressions import Expression, Scope

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from feature_store.definitions.sources import Source
    from feature_store.expressions import FieldType


def type_over_events(expression: object, source: Source, definition: str, at: Location | None) -> FieldType:
    """Return the type of an expression that reads a source's events.

    Raises:
        DefinitionError: it reads a request or an unknown field, or combines types wrongly.
    """
    expression = demand_expression(expression, definition, at)
    _demand_no_features(expression, "events", definition, at)
    refuse_concealed(expression, source, definition, at)
    given = [f"request({name!r})" for name in sorted(expression.requests())]
    given += [f"entity_key({name!r})" for name in expression.entity_keys()]
    if given:
        read = ", ".join(given)
        problem = f"it is computed from events, which know no {read}"
        raise DefinitionError(definition, problem, instead="Read the event with field(...).", at=at)
    scope = Scope(source.fields, {}, f"source {source.topic}", is_timed=True)
    return _type(expression, scope, definition, at)


def type_over_entity_keys(expression: Expression, definition: str, at: Location | None) -> FieldType:
    """Return the type of an expression that reads the entity keys of a request, whatever they are called.

    Raises:
        DefinitionError: it reads nothing of them or anything else, or combines types wrongly.
    """
    if expression.fields() or expression.requests() or expression.features() or not expression.entity_keys():
        problem = f"{expression} is not made of the request's entity keys alone"
        raise DefinitionError(definition, problem, instead="Read entity_key(...).", at=at)
    scope = request_scope({}, expression.entity_keys())
    return _type(expression, scope, definition, at)


def request_scope(inputs: Mapping[str, FieldType], entities: Collection[str]) -> Scope:
    """Return what a request has, with the types of its inputs and the names of its entity keys."""
    return Scope({}, inputs, "TrainingExamples(context=...)", entities=entities, is_timed=True)


def type_over_requests(expression: object, scope: Scope, definition: str, at: Location | None) -> FieldType:
    """Return the type of an expression that reads a scoring request.

    Raises:
        DefinitionError: it reads an event's field or an undeclared input, or combines types wrongly.
    """
    expression = demand_expression(expression, definition, at)
    _demand_no_features(expression, "the request alone", definition, at)
    return type_over_features(expression, scope, definition, at)


def type_over_features(expression: object, scope: Scope, definition: str, at: Location | None) -> FieldType:
    """Return the type of an expression that reads a scoring request and features, by full name.

    Raises:
        DefinitionError: it reads an event's field or an undeclared input, or combines types wrongly.
    """
    expression = demand_expression(expression, definition, at)
    if expression.fields():
        read = ", ".join(f"field({name!r})" for name in sorted(expression.fields()))
        problem = f"it is computed from the request, which knows no {read}"
        instead = "Read the request with request(...), and name the input in TrainingExamples(context=...)."
        raise DefinitionError(definition, problem, instead=instead, at=at)
    return _type(expression, scope, definition, at)


def _demand_no_features(expression: Expression, what: str, definition: str, at: Location | None) -> None:
    if expression.features():
        read = ", ".join(map(str, expression.features()))
        problem = f"it is computed from {what}, and reads {read}"
        raise DefinitionError(definition, problem, instead="Write a Derived feature.", at=at)


def demand_expression(value: object, definition: str, at: Location | None) -> Expression:
    """Return a value that is an expression.

    Raises:
        DefinitionError: it is none.
    """
    if isinstance(value, Expression):
        return value
    instead = "Write field(...) or request(...), with what is to be computed of it."
    raise DefinitionError(definition, f"{value!r} is no expression", instead=instead, at=at)


def _type(expression: Expression, scope: Scope, definition: str, at: Location | None) -> FieldType:
    try:
        return expression.type_in(scope)
    except UnsoundExpressionError as error:
        raise DefinitionError(definition, error.problem, instead=error.remedy, at=at) from error
