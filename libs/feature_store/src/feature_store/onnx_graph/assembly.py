"""The assembly of vectors as a graph: all of `VectorPlan.finish`, from readings to values and statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import helper

from feature_store.definitions import Derived, Feature, Opaque, RequestTime
from feature_store.expressions import AS_OF, EntityKey, FieldType
from feature_store.onnx_graph.building import Graph, Tensor, Term
from feature_store.onnx_graph.description import METADATA, describe
from feature_store.onnx_graph.expressions import as_numbers, export_expression
from feature_store.onnx_graph.operators import APPROXIMATE
from feature_store.onnx_graph.sortable import from_sortable
from feature_store.statuses import Status
from feature_store.tiles import EMPTY_US
from feature_store.vectors import VectorPlan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from feature_store.contract import Contract
    from feature_store.definitions import AnyFeature
    from feature_store.expressions import Expression

__all__ = ["METADATA", "OPSETS", "REQUEST", "NotExportable", "export_assembly", "is_exact"]

OPSETS: Final[Mapping[str, int]] = {"": 21, "ai.onnx.ml": 3}
IR_VERSION: Final = 10
REQUEST: Final = "request."
"""Before the names of request inputs, so that none is taken for a reading."""
ENTITY: Final = "entity."
"""Before the names of entity keys."""

_INPUTS: Final[Mapping[FieldType, type[Any]]] = {
    FieldType.NUMBER: np.float64,
    FieldType.TEXT: np.object_,
    FieldType.TIME: np.int64,
    FieldType.FLAG: np.int8,
}


class NotExportable(Exception):
    """A feature has no form in ONNX.

    Attributes:
        feature: Its full name.
    """

    def __init__(self, feature: AnyFeature, problem: str) -> None:
        super().__init__(
            f"feature {feature.full_name!r} stands in the way of a graph from readings to score: {problem}"
        )
        self.feature = feature.full_name


def export_assembly(contract: Contract) -> onnx.ModelProto:
    """Return the graph that assembles a contract's vectors.

    Inputs (one without columns is left out): `newest_us` int64[n, views], `totals` int64[n, totals], `lasts`
    int64[n, lasts], `readable` bool[n, views], `request_time_us` int64[n], and `request.<name>` [n] for each
    of the contract's inputs: float64, string (null is `NULL_TEXT`), int64 or int8; and `entity.<name>`,
    string[n], for each entity key that an expression reads (`NULL_TEXT` where it is null or empty). Outputs:
    `values` float32[n, F] and `statuses` uint8[n, F]. What the columns are stands in the metadata `METADATA`,
    as JSON.

    Raises:
        NotExportable: a feature is a Python function, of an aggregation that no graph computes yet, or of an
            entity whose key is computed.
    """
    plan = VectorPlan(contract)
    _demand_exportable(plan)
    graph = Graph()
    _Assembly(graph, plan).build()
    model = helper.make_model(
        graph.finished("assembly"),
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in OPSETS.items()],
        ir_version=IR_VERSION,
        producer_name="tidemark",
    )
    helper.set_model_props(model, {METADATA: describe(plan)})
    onnx.checker.check_model(model, full_check=True)
    return model


def is_exact(contract: Contract) -> bool:
    """Does the graph give the same bits as numpy? Powers and logarithms are not rounded alike everywhere."""
    computed = [leaf.expression for leaf in contract.leaves if isinstance(leaf, RequestTime)]
    computed += [feature.expression for feature in contract.derived if isinstance(feature, Derived)]
    return all(expression.operators().isdisjoint(APPROXIMATE) for expression in computed)


def _demand_exportable(plan: VectorPlan) -> None:
    contract, arithmetic = plan.contract, plan.arithmetic
    exported = {*arithmetic.total_at, *arithmetic.last_at}
    for at, leaf in enumerate(contract.leaves):
        if isinstance(leaf, Feature) and at not in exported:
            raise NotExportable(leaf, f"{type(leaf.aggregation).__name__} is computed by no graph yet")
        if isinstance(leaf, Feature) and not all(
            isinstance(part, EntityKey) for part in leaf.view.entity.key
        ):
            problem = (
                f"the key of entity {leaf.view.entity.name!r} is computed before any graph, by the project"
            )
            raise NotExportable(leaf, problem)
    for feature in contract.derived:
        if isinstance(feature, Opaque):
            raise NotExportable(feature, "it is a Python function; write it as a Derived expression")


class _Assembly:
    """One contract's assembly, being added to a graph."""

    def __init__(self, graph: Graph, plan: VectorPlan) -> None:
        self._graph, self._plan, self._arithmetic = graph, plan, plan.arithmetic
        self._contract = plan.contract
        self._time_us = graph.input("request_time_us", np.int64, None)
        self._n = graph.apply("Shape", self._time_us)
        self._columns = {name: self._request(name, kind) for name, kind in self._contract.inputs.items()}
        self._columns[AS_OF] = Term(FieldType.TIME, self._time_us)
        for name in self._contract.entity_keys:
            key = graph.input(f"{ENTITY}{name}", np.object_, None)
            self._columns[EntityKey(name).name] = Term(FieldType.TEXT, key)

    def _request(self, name: str, kind: FieldType) -> Term:
        tensor = self._graph.input(f"{REQUEST}{name}", _INPUTS[kind], None)
        return Term(kind, tensor.cast(np.int64) if kind is FieldType.FLAG else tensor)

    def build(self) -> None:
        """Add everything."""
        graph, contract = self._graph, self._contract
        numbers, statuses = self._marked(self._leaves(), self._leaf_statuses())
        if contract.derived:
            numbers, statuses = self._derive(numbers, statuses)
        values = numbers.cast(np.float32)
        present = statuses.equals(self._status(Status.PRESENT))
        values = graph.where(present, values, graph.constant(contract.defaults[None], np.float32))
        # -0 becomes 0: ONNX Runtime's Where keeps the sign of a zero in one of its branches only.
        zero = graph.constant([[0.0]], np.float32)
        values = graph.where(values.equals(zero), zero, values)
        graph.output("values", values, np.float32, len(contract.features))
        graph.output("statuses", statuses.cast(np.uint8), np.uint8, len(contract.features))

    def _leaves(self) -> Tensor:
        """Return the leaves' numbers, float64[n, leaves]."""
        made = [*self._kept(), *self._lasts()]
        made += [
            as_numbers(self._export(expression), self._n).unsqueezed()
            for expression in self._arithmetic.computed
        ]
        return self._graph.concat(made).take(self._arithmetic.order.tolist())

    def _export(self, expression: Expression) -> Term:
        return export_expression(self._graph, expression, self._columns)

    def _kept(self) -> list[Tensor]:
        arithmetic, graph = self._arithmetic, self._graph
        if not self._plan.totals:
            return []
        totals = graph.input("totals", np.int64, len(self._plan.totals))
        divided = len(arithmetic.denominator)
        made = [
            totals.take(arithmetic.numerator[part].tolist()).cast(np.float64)
            * graph.constant(arithmetic.scale[None, part], np.float64)
            for part in (slice(divided), slice(divided, None))
            if arithmetic.numerator[part].size
        ]
        if divided:
            made[0] = made[0] / totals.take(arithmetic.denominator.tolist()).cast(np.float64)
        return made

    def _lasts(self) -> list[Tensor]:
        if not self._plan.lasts:
            return []
        lasts = self._graph.input("lasts", np.int64, len(self._plan.lasts))
        if not len(self._arithmetic.last):
            return []
        return [from_sortable(self._graph, lasts.take(self._arithmetic.last.tolist()))]

    def _leaf_statuses(self) -> Tensor:
        """Return the statuses that rows give the leaves, int64[n, leaves]."""
        graph, views = self._graph, len(self._plan.views)
        alone = self._all_present()
        if not views:
            return alone.take([0] * len(self._contract.leaves))
        newest_us = graph.input("newest_us", np.int64, views)
        readable = graph.input("readable", np.bool_, views)
        age_us = self._time_us.unsqueezed() - newest_us
        stale = age_us > graph.constant(self._arithmetic.ttl_us[None], np.int64)
        of_rows = graph.where(stale, self._status(Status.STALE), self._status(Status.PRESENT))
        empty = newest_us.equals(graph.constant([[EMPTY_US]], np.int64))
        of_rows = graph.where(empty, self._status(Status.MISSING), of_rows)
        of_rows = graph.where(readable, of_rows, self._status(Status.DEFAULTED))
        return graph.concat([of_rows, alone]).take(self._arithmetic.status_from.tolist())

    def _all_present(self) -> Tensor:
        """Return a column of PRESENT, int64[n, 1]."""
        shape = self._graph.apply("Concat", self._n, self._graph.constant([1], np.int64), axis=0)
        return self._graph.apply("Expand", self._status(Status.PRESENT), shape)

    def _status(self, status: Status) -> Tensor:
        return self._graph.constant([[int(status)]], np.int64)

    def _marked(
        self, numbers: Tensor, statuses: Tensor, otherwise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return numbers and statuses, where what is present but not finite as float32 is `otherwise`."""
        graph = self._graph
        size = graph.apply("Abs", numbers.cast(np.float32))
        # A comparison with NaN is False.
        is_finite = size < graph.constant([[np.inf]], np.float32)
        is_unusable = statuses.equals(self._status(Status.PRESENT)) & ~is_finite
        return numbers, graph.where(is_unusable, otherwise or self._status(Status.MISSING), statuses)

    def _derive(self, numbers: Tensor, statuses: Tensor) -> tuple[Tensor, Tensor]:
        """Return numbers and statuses of the vector's features, from those of the leaves."""
        graph, contract = self._graph, self._contract
        made = {
            leaf.full_name: (numbers.take([at]), statuses.take([at]))
            for at, leaf in enumerate(contract.leaves)
        }
        for feature in contract.derived:
            assert not isinstance(feature, Opaque)
            made[feature.full_name] = self._derived(feature, made)
        chosen = [made[name] for name in contract.feature_names]
        return graph.concat([number for number, _ in chosen]), graph.concat([status for _, status in chosen])

    def _derived(self, feature: Derived, made: Mapping[str, tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        graph, worst = self._graph, self._status(Status.MISSING)
        null = graph.constant([[np.nan]], np.float64)
        for operand in feature.operands:
            number, status = made[operand.full_name]
            there = graph.where(status.equals(self._status(Status.PRESENT)), number, null)
            self._columns[operand.name] = Term(FieldType.NUMBER, there.column(0))
            worst = graph.apply("Max", worst, status)
        numbers = as_numbers(self._export(feature.expression), self._n).unsqueezed()
        return self._marked(numbers, self._all_present(), worst)
