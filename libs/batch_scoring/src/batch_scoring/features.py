"""Vectors of rows: read from their columns, or from the lake as of each row's time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feature_store import AsOf, Status, point_in_time

from batch_scoring.columns import requests_of
from batch_scoring.errors import BadValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from feature_store import Contract, Requests
    from numpy.typing import NDArray

    from batch_scoring.columns import Columns, Nulls
    from batch_scoring.lake import PinnedEvents


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Vectors of a batch.

    Attributes:
        values: float32[n, F], C-contiguous, finite.
        statuses: uint8[n, F], each a `Status`.
    """

    values: NDArray[np.float32]
    statuses: NDArray[np.uint8]


class Features(Protocol):
    """Where vectors come from."""

    def of(self, rows: pa.Table, where: Callable[[int], str]) -> Rows:
        """Return the vectors of a batch of the input.

        Args:
            rows: The columns that were bound.
            where: Names a row for errors, by its index.

        Raises:
            BadValue: a row holds what no request may.
        """


class GivenFeatures:
    """Vectors that the input holds, a column a feature.

    Args:
        columns: In the order of the vector.
        defaults: What stands in a vector where a row has null, float32[F]; None refuses nulls.
    """

    def __init__(self, columns: tuple[str, ...], defaults: NDArray[np.float32] | None = None) -> None:
        self._columns = columns
        self._defaults = defaults

    def of(self, rows: pa.Table, where: Callable[[int], str]) -> Rows:
        """See `Features.of`; a null is MISSING."""
        values = np.empty((len(rows), len(self._columns)), np.float32)
        statuses = np.full(values.shape, Status.PRESENT, np.uint8)
        for at, name in enumerate(self._columns):
            column = rows[name]
            if column.null_count:
                gone = pc.is_null(column).to_numpy()
                if self._defaults is None:
                    raise BadValue(
                        f"column {name!r}, {where(int(np.argmax(gone)))}: is null; --nulls missing reads it "
                        "as the feature's default"
                    )
                statuses[gone, at] = Status.MISSING
                column = column.cast("float64").fill_null(float(self._defaults[at]))
            elif pa.types.is_decimal(column.type):
                column = column.cast("float64")
            # An overflow becomes infinite, which is refused below.
            with np.errstate(over="ignore"):
                values[:, at] = column.to_numpy()
        self._refuse_not_finite(values, where)
        return Rows(values, statuses)

    def _refuse_not_finite(self, values: NDArray[np.float32], where: Callable[[int], str]) -> None:
        # A sum is finite only if every number is, and needs no array of flags.
        if np.isfinite(values.sum(dtype=np.float64)):
            return
        row, at = np.argwhere(~np.isfinite(values))[0]
        raise BadValue(
            f"column {self._columns[at]!r}, {where(int(row))}: {values[row, at]} is no finite float32, which "
            "a vector holds: write null for what is not known"
        )


class LakeFeatures:
    """Vectors as serving would have made them at each row's time, of what had been recorded by then."""

    def __init__(
        self, contract: Contract, events: PinnedEvents, columns: Columns, *, nulls: Nulls, at_us: int | None
    ) -> None:
        self._contract = contract
        self._events = events
        self._columns = columns
        self._nulls = nulls
        self._at_us = at_us

    def of(self, rows: pa.Table, where: Callable[[int], str]) -> Rows:
        """See `Features.of`."""
        requests = requests_of(rows, self._columns, nulls=self._nulls, at_us=self._at_us, where=where)
        width = len(self._contract.features)
        values = np.empty((len(requests), width), np.float32)
        statuses = np.empty((len(requests), width), np.uint8)
        for part in self._events.stretches(requests):
            values[part], statuses[part] = self._read(requests.take(part))
        return Rows(values, statuses)

    def _read(self, asked: Requests) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        vectors = point_in_time(self._contract, self._events.about(asked), asked, AsOf())
        lost = self._events.lost(asked, vectors.positions)
        if lost:
            # Few entities at most, so that their whole past may be read.
            rows = np.flatnonzero(np.logical_or.reduce(list(lost.values())))
            past = {view: asked.take(which) for view, which in lost.items()}
            some = asked.take(rows)
            again = point_in_time(self._contract, self._events.about(some, past), some, AsOf())
            vectors.values[rows], vectors.statuses[rows] = again.values, again.statuses
        return vectors.values, vectors.statuses
