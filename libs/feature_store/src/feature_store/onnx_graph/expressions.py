"""Expressions as parts of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from feature_store.expressions import Apply, Constant, FieldType, dtype_of
from feature_store.expressions.nodes import AsOf, EntityKey, FeatureValue, Request
from feature_store.onnx_graph.building import Term
from feature_store.onnx_graph.operators import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from feature_store.expressions import Expression
    from feature_store.onnx_graph.building import Graph, Tensor


def export_expression(graph: Graph, expression: Expression, columns: Mapping[str, Term]) -> Term:
    """Add an expression's computation to a graph.

    Args:
        graph: What is added to.
        expression: Its types have been checked.
        columns: What the columns are that it reads, by name.
    """
    match expression:
        case Constant():
            dtype = dtype_of(expression.kind).type
            return Term(expression.kind, graph.constant([expression.value], dtype))
        case Request() | EntityKey() | AsOf() | FeatureValue():
            return columns[expression.name]
    assert isinstance(expression, Apply)
    operands = tuple(export_expression(graph, operand, columns) for operand in expression.operands)
    return OPERATORS[expression.operator](graph, operands, expression.parameters)


def as_numbers(term: Term, n: Tensor) -> Tensor:
    """Return what a feature's expression gives as float64[n]: a flag as 0 or 1, of which null is 0.

    Args:
        term: A number or a flag.
        n: How many there are, int64[1].
    """
    graph = term.tensor.graph
    if term.kind is FieldType.FLAG:
        return graph.apply("Expand", term.as_condition().cast(np.float64), n)
    return graph.apply("Expand", term.tensor, n)
