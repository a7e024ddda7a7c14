"""Every operator of the expression language once more: as nodes of a graph that compute the same.

A row of `OPERATORS` here stands for the row of the same name in `expressions.operators`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feature_store.expressions import NULL_TIME_US, FieldType
from feature_store.expressions.great_circle import distance_km
from feature_store.onnx_graph.attributes import attribute
from feature_store.onnx_graph.building import NULL_TEXT, Graph, Term
from feature_store.onnx_graph.calendar import PARTS, local_part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from feature_store.onnx_graph.building import Tensor


def null(graph: Graph, kind: FieldType) -> Tensor:
    """Return the null of a type, for all rows."""
    match kind:
        case FieldType.NUMBER:
            return graph.constant([np.nan], np.float64)
        case FieldType.TEXT:
            return graph.constant([NULL_TEXT], np.object_)
        case FieldType.FLAG:
            return graph.constant([-1], np.int64)
    return graph.constant([NULL_TIME_US], np.int64)


def number(tensor: Tensor) -> Term:
    """Return a number that is null where it is not finite."""
    graph = tensor.graph
    infinite = graph.apply("IsInf", tensor)
    return Term(FieldType.NUMBER, graph.where(infinite, null(graph, FieldType.NUMBER), tensor))


def _flag(tensor: Tensor) -> Term:
    return Term(FieldType.FLAG, tensor, is_certain=True)


def _integer(graph: Graph, operands: tuple[Term, ...], kind: FieldType, result: Tensor) -> Term:
    """Return a time or a duration that is null where an operand is."""
    missing = operands[0].is_null()
    for operand in operands[1:]:
        missing = missing | operand.is_null()
    return Term(kind, graph.where(missing, null(graph, kind), result))


def _arithmetic(operator: str) -> Callable[..., Term]:
    def export(graph: Graph, operands: tuple[Term, ...], _: tuple[Any, ...]) -> Term:
        left, right = operands
        if left.kind is FieldType.NUMBER:
            return number(graph.apply(operator, left.tensor, right.tensor))
        result = graph.apply(operator, left.tensor, right.tensor)
        kinds = {left.kind, right.kind}
        is_time = kinds == {FieldType.TIME, FieldType.DURATION}
        return _integer(graph, operands, FieldType.TIME if is_time else FieldType.DURATION, result)

    return export


def _divide(graph: Graph, operands: tuple[Term, ...], _: tuple[Any, ...]) -> Term:
    left, right = (_as_double(graph, operand) for operand in operands)
    return number(left / right)


def _as_double(graph: Graph, term: Term) -> Tensor:
    """Return a number, or a duration's microseconds, as float64."""
    if term.kind is FieldType.NUMBER:
        return term.tensor
    return graph.where(term.is_null(), null(graph, FieldType.NUMBER), term.tensor.cast(np.float64))


def _alone(operator: str) -> Callable[..., Term]:
    """An operator of one number, or of one duration, whose null it leaves as it is."""

    def export(graph: Graph, operands: tuple[Term, ...], _: tuple[Any, ...]) -> Term:
        (value,) = operands
        result = graph.apply(operator, value.tensor)
        return Term(value.kind, result)

    return export


def _real(operator: str) -> Callable[..., Term]:
    return lambda graph, operands, _: number(graph.apply(operator, operands[0].tensor))


def _compare(operator: str) -> Callable[..., Term]:
    """A comparison, which is False where either side is null: of NaN it is so already."""

    def export(graph: Graph, operands: tuple[Term, ...], _: tuple[Any, ...]) -> Term:
        left, right = operands
        holds = graph.apply(operator, left.tensor, right.tensor)
        if left.kind is not FieldType.NUMBER:
            holds = holds & ~(left.is_null() | right.is_null())
        return _flag(holds)

    return export


def _not_equal(_: Graph, operands: tuple[Term, ...], __: tuple[Any, ...]) -> Term:
    left, right = operands
    return _flag(~(left.tensor.equals(right.tensor) | left.is_null() | right.is_null()))


def _logic(operator: str) -> Callable[..., Term]:
    return lambda graph, operands, _: _flag(
        graph.apply(operator, *(operand.as_condition() for operand in operands))
    )


def _extreme(operator: str) -> Callable[..., Term]:
    """The lesser or the greater: `choices.minimum` to the letter, so that zeros keep their signs."""

    def export(graph: Graph, operands: tuple[Term, ...], _: tuple[Any, ...]) -> Term:
        left, right = operands
        is_left = left.is_null() | graph.apply(operator, left.tensor, right.tensor)
        chosen = graph.where(is_left, left.tensor, right.tensor)
        if left.kind is FieldType.NUMBER:
            return Term(left.kind, chosen)
        return _integer(graph, operands, left.kind, chosen)

    return export


def _choose(graph: Graph, condition: Tensor, value: Term, otherwise: Term) -> Term:
    if value.kind is FieldType.FLAG:
        return Term(value.kind, graph.where(condition, value.as_integer(), otherwise.as_integer()))
    return Term(value.kind, graph.where(condition, value.tensor, otherwise.tensor))


def _where(graph: Graph, operands: tuple[Term, ...], _: tuple[Any, ...]) -> Term:
    condition, value, otherwise = operands
    return _choose(graph, condition.as_condition(), value, otherwise)


def _coalesce(graph: Graph, operands: tuple[Term, ...], _: tuple[Any, ...]) -> Term:
    value, otherwise = operands
    return _choose(graph, value.is_null(), otherwise, value)


def _place_of_text(graph: Graph, text: Tensor, keys: tuple[str, ...]) -> Tensor:
    """Return the place of a text among keys, and their number where it is none of them."""
    return graph.apply(
        "LabelEncoder",
        text,
        domain="ai.onnx.ml",
        keys_strings=list(keys),
        values_int64s=list(range(len(keys))),
        default_int64=len(keys),
    )


def _place_of_number(graph: Graph, value: Tensor, keys: tuple[float, ...]) -> Tensor:
    """Return the place of a number among keys, and their number where it is none of them."""
    same = value.unsqueezed().equals(graph.constant([keys], np.float64)).cast(np.int64)
    # At most one key is the number: a sum picks how far its place is from the end.
    steps = same * graph.constant([np.arange(len(keys)) - len(keys)], np.int64)
    back = graph.apply("ReduceSum", steps, graph.constant([1], np.int64), keepdims=0)
    return back + graph.constant([len(keys)], np.int64)


def _look_up(place: Callable[..., Tensor]) -> Callable[..., Term]:
    def export(graph: Graph, operands: tuple[Term, ...], parameters: tuple[Any, ...]) -> Term:
        otherwise, keys, values = parameters[0], parameters[1::2], parameters[2::2]
        table = graph.constant([*values, np.nan if otherwise is None else otherwise], np.float64)
        found = place(graph, operands[0].tensor, keys)
        return Term(FieldType.NUMBER, graph.apply("Gather", table, found, axis=0))

    return export


def _is_in(place: Callable[..., Tensor]) -> Callable[..., Term]:
    def export(graph: Graph, operands: tuple[Term, ...], parameters: tuple[Any, ...]) -> Term:
        found = place(graph, operands[0].tensor, parameters)
        return _flag(found < graph.constant([len(parameters)], np.int64))

    return export


def _to_number(graph: Graph, operands: tuple[Term, ...], _: tuple[Any, ...]) -> Term:
    (flag,) = operands
    value = flag.tensor.cast(np.float64)
    if not flag.is_certain:
        value = graph.where(flag.is_null(), null(graph, FieldType.NUMBER), value)
    return Term(FieldType.NUMBER, value)


def _to_flag(graph: Graph, operands: tuple[Term, ...], _: tuple[Any, ...]) -> Term:
    (value,) = operands
    differs = (~value.tensor.equals(graph.constant([0.0], np.float64))).cast(np.int64)
    return Term(FieldType.FLAG, graph.where(value.is_null(), null(graph, FieldType.FLAG), differs))


def _haversine_km(graph: Graph, operands: tuple[Term, ...], _: tuple[Any, ...]) -> Term:
    def as_tensor(value: Tensor | float) -> Tensor:
        return graph.constant([value], np.float64) if isinstance(value, float) else value

    distance = distance_km(
        [operand.tensor for operand in operands],
        where=lambda condition, value, otherwise: graph.where(
            condition, as_tensor(value), as_tensor(otherwise)
        ),
        sqrt=lambda value: graph.apply("Sqrt", value),
        null=np.nan,
    )
    return Term(FieldType.NUMBER, distance)


def _part(name: str) -> Callable[..., Term]:
    return lambda graph, operands, parameters: Term(
        FieldType.NUMBER, local_part(graph, name, operands[0].tensor, parameters[0])
    )


OPERATORS: Final[Mapping[str, Callable[[Graph, tuple[Term, ...], tuple[Any, ...]], Term]]] = {
    "add": _arithmetic("Add"),
    "subtract": _arithmetic("Sub"),
    "multiply": _arithmetic("Mul"),
    "power": _arithmetic("Pow"),
    "divide": _divide,
    "negative": _alone("Neg"),
    "absolute": _alone("Abs"),
    "floor": _alone("Floor"),
    "ceil": _alone("Ceil"),
    "round": _alone("Round"),
    "sqrt": _real("Sqrt"),
    "exp": _real("Exp"),
    "log": _real("Log"),
    "equal": _compare("Equal"),
    "not_equal": _not_equal,
    "less": _compare("Less"),
    "less_equal": _compare("LessOrEqual"),
    "greater": _compare("Greater"),
    "greater_equal": _compare("GreaterOrEqual"),
    "and": _logic("And"),
    "or": _logic("Or"),
    "not": _logic("Not"),
    "minimum": _extreme("Less"),
    "maximum": _extreme("Greater"),
    "where": _where,
    "coalesce": _coalesce,
    "is_null": lambda _, operands, __: _flag(operands[0].is_null()),
    "is_in_texts": _is_in(_place_of_text),
    "is_in_numbers": _is_in(_place_of_number),
    "look_up_text": _look_up(_place_of_text),
    "look_up_number": _look_up(_place_of_number),
    **{
        f"attribute_{kind}": attribute(_place_of_text)
        for kind in (FieldType.NUMBER, FieldType.TEXT, FieldType.TIME, FieldType.FLAG)
    },
    "to_number": _to_number,
    "to_flag": _to_flag,
    "haversine_km": _haversine_km,
    **{name: _part(name) for name in PARTS},
}

APPROXIMATE: Final = frozenset({"exp", "log", "power"})
"""Operators that libraries round differently: numpy and ONNX Runtime by up to 4 units in the last place."""
