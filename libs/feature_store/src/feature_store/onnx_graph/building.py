"""Building a graph: nodes with names, constants held once, and values that compute as numpy's arrays do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from feature_store.expressions import NULL_TIME_US, FieldType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from onnx import GraphProto

NULL_TEXT: Final = "\uffff"
"""What stands for a null text in a graph, whose strings have no null: a code point that is no character."""

_TENSOR_TYPES: Final = {
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.int8): TensorProto.INT8,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.bool_): TensorProto.BOOL,
    np.dtype(np.object_): TensorProto.STRING,
}


class Graph:
    """A graph that is being built. Equal nodes on equal inputs, and equal constants, are made once."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._initializers: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._made: dict[Any, Tensor] = {}

    def input(self, name: str, dtype: type[Any], width: int | None) -> Tensor:
        """Add an input [n, width], or [n] where the width is None."""
        shape: list[str | int | None] = ["n"] if width is None else ["n", width]
        self._inputs.append(helper.make_tensor_value_info(name, _TENSOR_TYPES[np.dtype(dtype)], shape))
        return Tensor(self, name)

    def output(self, name: str, tensor: Tensor, dtype: type[Any], width: int) -> None:
        """Name a tensor [n, width] as an output."""
        self._nodes.append(helper.make_node("Identity", [tensor.name], [name]))
        self._outputs.append(
            helper.make_tensor_value_info(name, _TENSOR_TYPES[np.dtype(dtype)], ["n", width])
        )

    def constant(self, values: Any, dtype: type[Any]) -> Tensor:
        """Add an array."""
        array: NDArray[Any] = np.array(values, dtype, order="C")
        told = array.tolist() if array.dtype == np.object_ else array.tobytes()
        key = ("constant", str(array.dtype), array.shape, repr(told))
        if key not in self._made:
            name = f"constant_{len(self._initializers)}"
            self._initializers.append(numpy_helper.from_array(array, name))
            self._made[key] = Tensor(self, name)
        return self._made[key]

    def apply(self, operator: str, *inputs: Tensor, domain: str = "", **attributes: Any) -> Tensor:
        """Add a node with one output."""
        names = [tensor.name for tensor in inputs]
        key = (operator, tuple(names), repr(sorted(attributes.items())))
        if key not in self._made:
            made = Tensor(self, f"{operator.lower()}_{len(self._nodes)}")
            self._nodes.append(
                helper.make_node(operator, names, [made.name], name=made.name, domain=domain, **attributes)
            )
            self._made[key] = made
        return self._made[key]

    def where(self, condition: Tensor, value: Tensor, otherwise: Tensor) -> Tensor:
        """Choose, element by element."""
        return self.apply("Where", condition, value, otherwise)

    def concat(self, tensors: Sequence[Tensor]) -> Tensor:
        """Lay tensors [n, ...] side by side."""
        return tensors[0] if len(tensors) == 1 else self.apply("Concat", *tensors, axis=1)

    def finished(self, name: str) -> GraphProto:
        """Return the graph."""
        return helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._initializers)


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of a graph. Python's operators on it add nodes; a number beside it is a float64."""

    graph: Graph
    name: str

    def cast(self, dtype: type[Any]) -> Tensor:
        """Convert to a dtype."""
        return self.graph.apply("Cast", self, to=_TENSOR_TYPES[np.dtype(dtype)])

    def take(self, places: Sequence[int]) -> Tensor:
        """Return columns of a matrix, int indices in any order."""
        return self.graph.apply("Gather", self, self.graph.constant(places, np.int64), axis=1)

    def column(self, place: int) -> Tensor:
        """Return one column of a matrix, as a vector."""
        return self.graph.apply("Gather", self, self.graph.constant(place, np.int64), axis=1)

    def unsqueezed(self) -> Tensor:
        """Return a vector as a matrix of one column."""
        return self.graph.apply("Unsqueeze", self, self.graph.constant([1], np.int64))

    def _with(self, operator: str, other: Tensor | float) -> Tensor:
        if not isinstance(other, Tensor):
            other = self.graph.constant([other], np.float64)
        return self.graph.apply(operator, self, other)

    def __add__(self, other: Tensor | float) -> Tensor:
        return self._with("Add", other)

    def __sub__(self, other: Tensor | float) -> Tensor:
        return self._with("Sub", other)

    def __mul__(self, other: Tensor | float) -> Tensor:
        return self._with("Mul", other)

    def __truediv__(self, other: Tensor | float) -> Tensor:
        return self._with("Div", other)

    def __rsub__(self, other: float) -> Tensor:
        return self.graph.apply("Sub", self.graph.constant([other], np.float64), self)

    __radd__ = __add__
    __rmul__ = __mul__

    def __lt__(self, other: Tensor | float) -> Tensor:
        return self._with("Less", other)

    def __le__(self, other: Tensor | float) -> Tensor:
        return self._with("LessOrEqual", other)

    def __gt__(self, other: Tensor | float) -> Tensor:
        return self._with("Greater", other)

    def __ge__(self, other: Tensor | float) -> Tensor:
        return self._with("GreaterOrEqual", other)

    def equals(self, other: Tensor) -> Tensor:
        """Compare, element by element."""
        return self._with("Equal", other)

    def __and__(self, other: Tensor) -> Tensor:
        return self._with("And", other)

    def __or__(self, other: Tensor) -> Tensor:
        return self._with("Or", other)

    def __invert__(self) -> Tensor:
        return self.graph.apply("Not", self)


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """What an expression has become: a tensor [n], or [1] where it is the same for all.

    Attributes:
        kind: Its type. Numbers are float64, texts strings, times and durations int64.
        tensor: Nulls are NaN, `NULL_TEXT`, `NULL_TIME_US`.
        is_certain: Of a flag: whether the tensor is bool, as flags without null are; else int64, null -1.
    """

    kind: FieldType
    tensor: Tensor
    is_certain: bool = False

    def is_null(self) -> Tensor:
        """Return where it is null."""
        graph = self.tensor.graph
        match self.kind:
            case FieldType.NUMBER:
                return graph.apply("IsNaN", self.tensor)
            case FieldType.TEXT:
                return self.tensor.equals(graph.constant([NULL_TEXT], np.object_))
            case FieldType.FLAG:
                whole = self.as_integer()
                return whole < graph.constant([0], np.int64)
        return self.tensor.equals(graph.constant([NULL_TIME_US], np.int64))

    def as_condition(self) -> Tensor:
        """Return a flag as bool, null as False."""
        if self.is_certain:
            return self.tensor
        return self.tensor.equals(self.tensor.graph.constant([1], np.int64))

    def as_integer(self) -> Tensor:
        """Return a flag as int64, null as -1."""
        return self.tensor.cast(np.int64) if self.is_certain else self.tensor
