"""Attributes of dimensions as parts of a graph: what `expressions.tables.Table.find` gives, by Gather."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feature_store.expressions import FieldType
from feature_store.onnx_graph.building import NULL_TEXT, Term

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from feature_store.expressions import Table
    from feature_store.onnx_graph.building import Graph, Tensor

_NEVER_US: Final = np.iinfo(np.int64).max


def attribute(place_of: Callable[[Graph, Tensor, tuple[str, ...]], Tensor]) -> Callable[..., Term]:
    """Return the export of an attribute, by key or by key and time.

    Args:
        place_of: Gives the place of a text among keys, and their number where it is none of them.
    """

    def export(graph: Graph, operands: tuple[Term, ...], parameters: tuple[Any, ...]) -> Term:
        table: Table = parameters[0]
        key, *as_of = (operand.tensor for operand in operands)
        place = place_of(graph, key, tuple(table.first))
        # Without times each key has one version, and what no key has is the null at the end.
        version = _version(graph, table, place, as_of[0]) if as_of else place
        return Term(table.kind, graph.apply("Gather", _values(graph, table), version, axis=0))

    return export


def _version(graph: Graph, table: Table, place: Tensor, as_of: Tensor) -> Tensor:
    """Return the number of the newest version begun by a time; that of the null at the end for none."""
    begins = graph.apply("Gather", graph.constant(_begins(table), np.int64), place, axis=0)
    begun = (begins <= as_of.unsqueezed()).cast(np.int64)
    count = graph.apply("ReduceSum", begun, graph.constant([1], np.int64), keepdims=0)
    first = graph.apply("Gather", graph.constant([*table.first.values(), 0], np.int64), place, axis=0)
    one, none = graph.constant([1], np.int64), graph.constant([len(table.values) - 1], np.int64)
    return graph.where(count < one, none, first + count - one)


def _begins(table: Table) -> NDArray[np.int64]:
    """Return when each key's versions begin, int64[keys + 1, most versions of a key]; the rest is never."""
    most = max(map(len, table.begins_us.values()))
    begins = np.full((len(table.begins_us) + 1, most), _NEVER_US, np.int64)
    for place, begins_us in enumerate(table.begins_us.values()):
        begins[place, : len(begins_us)] = begins_us
    return begins


def _values(graph: Graph, table: Table) -> Tensor:
    match table.kind:
        case FieldType.NUMBER:
            return graph.constant(table.values, np.float64)
        case FieldType.TEXT:
            texts = [NULL_TEXT if value is None else value for value in table.values]
            return graph.constant(texts, np.object_)
    return graph.constant(table.values, np.int64)
