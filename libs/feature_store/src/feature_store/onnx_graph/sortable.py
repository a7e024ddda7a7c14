"""The float64 in a sortable integer, by arithmetic that is exact: standard operators have no bits to cast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from feature_store.onnx_graph.building import Graph, Tensor

_FRACTION: Final = 2**52


def from_sortable(graph: Graph, integers: Tensor) -> Tensor:
    """Return the numbers that `aggregations.sortable` was given, float64; NaN of `NO_NUMBER`.

    Of a negative integer s, -1 - s is what the bits without the sign are. They are an exponent e and a
    fraction f, and the number is `f 2^-1074` where e = 0, and `(f + 2^52) 2^(e - 1075)` elsewhere (IEEE 754):
    a product of two float64 numbers that is one itself, so nothing is rounded.
    """
    is_negative = integers < graph.constant([[0]], np.int64)
    bits = graph.where(is_negative, graph.constant([[-1]], np.int64) - integers, integers)
    whole = graph.constant([[_FRACTION]], np.int64)
    exponent = bits / whole
    fraction = bits - exponent * whole
    is_normal = exponent > graph.constant([[0]], np.int64)
    fraction = graph.where(is_normal, fraction + whole, fraction).cast(np.float64)
    power = graph.apply("Gather", graph.constant(_powers(), np.float64), exponent, axis=0)
    size = fraction * power
    return graph.where(is_negative, graph.apply("Neg", size), size)


def _powers() -> list[float]:
    """Return, by exponent, what a fraction is multiplied with; NaN for that of NaN and the infinities."""
    return [2.0 ** (max(exponent, 1) - 1075) if exponent < 2047 else np.nan for exponent in range(2048)]
