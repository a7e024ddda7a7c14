"""Vectors: what a model is given, with what became of each feature, and what the rows behind it had applied.

Online and offline compute the same integers in different ways (`Readings`); both end in `VectorPlan.finish`,
the one place where they become the numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, overload

import numpy as np

from feature_store.aggregations import ADDED
from feature_store.definitions import Feature, RequestTime
from feature_store.derivation import Derivation
from feature_store.plans import plan_of, ring_of
from feature_store.readings import Combined, Reading, reading_of
from feature_store.rows import NOTHING_APPLIED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from feature_store.aggregations import Accumulator, Kind
    from feature_store.contract import Contract
    from feature_store.expressions import Expression
    from feature_store.plans import Placed, WindowPlan
    from feature_store.requests import Requests


_ALL: Final = np.empty((0, 0), np.bool_)
"""For the rows that could be read: every one."""


@dataclass(frozen=True, slots=True, eq=False)
class RowPositions:
    """What the rows of one view had applied, by request.

    Attributes:
        view: The view's name.
        found: Whether there was a row, bool[n].
        applied: The last offset applied by partition, int64[n, partitions]; -1 where nothing was.
        declared: How many partitions the view's source declares.
        recorded_watermark_us: The newest recorded time applied, int64[n]; meaningless where there was no row.
    """

    view: str
    found: NDArray[np.bool_]
    applied: NDArray[np.int64]
    recorded_watermark_us: NDArray[np.int64]
    declared: int


def told(applied: list[int], declared: int) -> list[int]:
    """Return offsets applied as they are told: of the declared partitions, and up to the last one with any.

    So what is told of a row is a function of the row, and not of the wider rows that were read before or
    beside it.
    """
    end = len(applied)
    while end > declared and applied[end - 1] == NOTHING_APPLIED:
        end -= 1
    return applied[:end]


class Positions(Sequence[RowPositions]):
    """What rows had applied, by view in the contract's order."""

    def __init__(self, each: Sequence[RowPositions]) -> None:
        self._given = each

    @property
    def _each(self) -> Sequence[RowPositions]:
        return self._given

    def of(self, request: int) -> Sequence[tuple[str, list[int], int]]:
        """Return view, offsets applied by partition and recorded watermark of the rows of one request."""
        return [
            (
                one.view,
                told(one.applied[request].tolist(), one.declared),
                int(one.recorded_watermark_us[request]),
            )
            for one in self._each
            if one.found[request]
        ]

    def __len__(self) -> int:
        return len(self._each)

    @overload
    def __getitem__(self, index: int) -> RowPositions: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RowPositions]: ...
    def __getitem__(self, index: int | slice) -> RowPositions | Sequence[RowPositions]:
        return self._each[index]


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Assembled vectors.

    Attributes:
        values: float32[n, F] in the contract's order; always finite.
        statuses: uint8[n, F], each a `Status`.
        positions: By view, in the contract's order.
    """

    values: NDArray[np.float32]
    statuses: NDArray[np.uint8]
    positions: Positions

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What a contract's accumulators hold for each request, merged over the tiles that count.

    Attributes:
        newest_us: Newest event time by view, int64[n, views]; `EMPTY_US` where there is none.
        totals: int64[n, accumulators of one added word].
        lasts: Sortable values or times, int64[n, accumulators that keep one]; `aggregations.NO_NUMBER` where
            there is none.
        wides: By accumulator of many words, or read tile by tile, int64[n, words or tiles]; the newest tile
            first.
    """

    newest_us: NDArray[np.int64]
    totals: NDArray[np.int64]
    lasts: NDArray[np.int64]
    wides: Sequence[NDArray[np.int64]] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """An accumulator that a contract reads: its view by number, its window, its place; merged or by tile."""

    view: int
    window: WindowPlan
    placed: Placed
    by_tile: bool = False

    @property
    def kind(self) -> Kind:
        """The accumulator's kind."""
        return self.placed.accumulator.kind


@dataclass(frozen=True, slots=True, eq=False)
class Arithmetic:
    """How `VectorPlan.finish` makes numbers, for whoever writes it down for another runtime.

    Numbers are made side by side: `totals[numerator] * scale`, of which the first are divided by
    `totals[denominator]`; `lasts[last]`; what `computed` expressions give. Then they are put in `order`.

    Attributes:
        total_at: By number made of totals, which of the contract's leaves it is.
        numerator: By number made of totals, which of `VectorPlan.totals` it is made of.
        scale: What it is multiplied with.
        denominator: What the first of them are divided by.
        last_at: By number made of lasts, which leaf it is.
        last: Which of `VectorPlan.lasts` it is.
        computed: The expressions.
        order: By leaf, its place among the numbers as made.
        status_from: By leaf, the view whose row gives its status; the number of views where none does.
        ttl_us: By view.
    """

    total_at: Sequence[int]
    numerator: NDArray[np.intp]
    scale: NDArray[np.float64]
    denominator: NDArray[np.intp]
    last_at: Sequence[int]
    last: NDArray[np.intp]
    computed: Sequence[Expression]
    order: NDArray[np.intp]
    status_from: NDArray[np.intp]
    ttl_us: NDArray[np.int64]


class VectorPlan:
    """A contract compiled: which accumulators are read, and how they become values and statuses.

    Attributes:
        contract: The contract.
        views: Its views' plans.
        totals: The counts and sums it reads, in the order of `Readings.totals`.
        lasts: What keeps a value or a time, in the order of `Readings.lasts`.
        wides: What has many words, or is read tile by tile, in the order of `Readings.wides`.
        kernels: The compiled loops, imported with the first plan.
    """

    def __init__(self, contract: Contract) -> None:
        from feature_store import kernels  # noqa: PLC0415 - it takes a second, which not every command needs

        self.kernels = kernels
        self.contract = contract
        self.views = tuple(plan_of(view) for view in contract.views)
        self.totals: list[Read] = []
        self.lasts: list[Read] = []
        self.wides: list[Read] = []
        self._ttl_us = np.array([view.ttl_us for view in contract.views], np.int64)
        kept = [(at, feature) for at, feature in enumerate(contract.leaves) if isinstance(feature, Feature)]
        self._status_from = np.full(len(contract.leaves), len(self.views))
        self._status_from[[at for at, _ in kept]] = [
            contract.views.index(feature.view) for _, feature in kept
        ]
        readings = [(at, feature, reading_of(feature.aggregation)) for at, feature in kept]
        plain = [(at, feature, one) for at, feature, one in readings if isinstance(one, Reading)]
        self._read_totals([one for one in plain if one[2].numerator.kind in ADDED])
        self._read_lasts([one for one in plain if one[2].numerator.kind not in ADDED])
        self._combined = [
            (at, one.result, self._parts(feature, one))
            for at, feature, one in readings
            if isinstance(one, Combined)
        ]
        self._computed = [
            (at, feature.expression)
            for at, feature in enumerate(contract.leaves)
            if isinstance(feature, RequestTime)
        ]
        made_at = [at for at, _ in self._computed] + [at for at, _, _ in self._combined]
        self._order = np.argsort([*self._total_at, *self._last_at, *made_at])
        self._leaves, self._leaf_scale = self._table(made_at)
        self._derivation = Derivation(contract) if contract.derived else None

    def _table(self, made_at: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return how each leaf is made, as `kernels.make_numbers` and `kernels.mark_rows` want it."""
        form = self.kernels.Form
        leaves = np.zeros((len(self._status_from), 4), np.int64)
        scale = np.ones(len(leaves))
        for number, at in enumerate(self._total_at):
            leaves[at, :2] = form.TOTAL, self._numerator[number]
            if number < len(self._denominator):
                leaves[at, :3] = form.QUOTIENT, self._numerator[number], self._denominator[number]
            scale[at] = self._scale[number]
        for number, at in enumerate(self._last_at):
            leaves[at, :2] = form.KEPT, self._last[number]
        for number, at in enumerate(made_at):
            leaves[at, :2] = form.MADE, number
        leaves[:, 3] = self._status_from
        return leaves, scale

    def _read_totals(self, readings: list[tuple[int, Feature, Reading]]) -> None:
        """Prepare `value = total * scale`, and the division by another total of the first, which have one."""
        readings.sort(key=lambda one: one[2].denominator is None)
        self._total_at = [at for at, _, _ in readings]
        self._scale = np.array([reading.scale for _, _, reading in readings])
        self._numerator = _indexes(
            self._number(self.totals, feature, reading.numerator) for _, feature, reading in readings
        )
        self._denominator = _indexes(
            self._number(self.totals, feature, reading.denominator)
            for _, feature, reading in readings
            if reading.denominator is not None
        )

    def _read_lasts(self, readings: Sequence[tuple[int, Feature, Reading]]) -> None:
        self._last_at = [at for at, _, _ in readings]
        self._last = _indexes(
            self._number(self.lasts, feature, reading.numerator) for _, feature, reading in readings
        )

    def _parts(self, feature: Feature, reading: Combined) -> list[tuple[list[Read], int]]:
        """Return, for each accumulator, among which reads it is, and its number there."""
        parts = []
        for accumulator in reading.accumulators:
            if reading.by_tile or accumulator.sketch is not None:
                reads = self.wides
            else:
                reads = self.totals if accumulator.kind in ADDED else self.lasts
            number = self._number(reads, feature, accumulator, by_tile=reading.by_tile)
            parts.append((reads, number))
        return parts

    def _number(
        self, reads: list[Read], feature: Feature, accumulator: Accumulator, *, by_tile: bool = False
    ) -> int:
        """Return the number of what a feature reads among `reads`, added if it is new."""
        view = self.contract.views.index(feature.view)
        read = Read(view, *self.views[view].find(ring_of(feature.aggregation), accumulator), by_tile)
        if read not in reads:
            reads.append(read)
        return reads.index(read)

    def _combine(self, readings: Readings, time_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the features that are no quotients, float64[n, combined features]; NaN for none."""

        def held(reads: list[Read], number: int) -> NDArray[np.int64]:
            if reads is self.wides:
                return readings.wides[number]
            return (readings.totals if reads is self.totals else readings.lasts)[:, number]

        values = np.empty((len(time_us), len(self._combined)))
        for number, (_, result, parts) in enumerate(self._combined):
            values[:, number] = result([held(*part) for part in parts], time_us)
        return values

    @property
    def arithmetic(self) -> Arithmetic:
        """What `finish` does with readings, as data."""
        return Arithmetic(
            self._total_at,
            self._numerator,
            self._scale,
            self._denominator,
            self._last_at,
            self._last,
            [expression for _, expression in self._computed],
            self._order,
            self._status_from,
            self._ttl_us,
        )

    def compute(self, requests: Requests) -> NDArray[np.float64]:
        """Return the features that need no row, float64[n, request-time features]; NaN where null."""
        n = len(requests)
        computed = np.empty((n, len(self._computed)))
        if not self._computed:
            return computed
        columns = requests.named(self.contract.entity_keys)
        with np.errstate(all="ignore"):
            for number, (_, expression) in enumerate(self._computed):
                computed[:, number] = expression.evaluate(columns, n)
        return computed

    def finish(
        self,
        readings: Readings,
        requests: Requests,
        readable: NDArray[np.bool_] | None = None,
        computed: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return values and statuses.

        Args:
            readings: What the accumulators hold.
            requests: The requests.
            readable: Which rows could be read, bool[n, views]; None for all.
            computed: What `compute` returned for these requests, if somebody has called it already.
        """
        if computed is None:
            computed = self.compute(requests)
        made = computed
        if self._combined:
            with np.errstate(all="ignore"):
                made = np.concatenate((computed, self._combine(readings, requests.time_us)), axis=1)
        n = len(requests)
        numbers = np.empty((n, len(self._leaves)))
        statuses = np.empty(numbers.shape, np.uint8)
        self.kernels.make_numbers(
            readings.totals, readings.lasts, made, self._leaves, self._leaf_scale, numbers
        )
        readable = _ALL if readable is None else readable
        self.kernels.mark_rows(
            readings.newest_us, requests.time_us, readable, self._leaves, self._ttl_us, statuses
        )
        if self._derivation is not None:
            numbers, statuses = self._derivation.finish(numbers, statuses, requests)
        return self.kernels.settle(numbers, statuses, self.contract.defaults)


def _indexes(numbers: Iterable[int]) -> NDArray[np.intp]:
    return np.array(list(numbers), np.intp)
