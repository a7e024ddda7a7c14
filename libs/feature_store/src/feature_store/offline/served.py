"""What was served, recomputed: the vector that the lake gives for what its rows said they had applied.

A row that was there says by its positions what it had applied, and any difference from that is a defect. A
row that was not there says nothing: what it should have held is what had been recorded some grace before the
request, as far as other rows show that their writer had come by then. So an entity whose first event is on
its way is not missed, and one whose row was lost is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from feature_store.offline.freshness import views_of
from feature_store.offline.known import Applied, AsOf
from feature_store.offline.point_in_time import point_in_time
from feature_store.requests import Requests
from feature_store.statuses import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from feature_store.contract import Contract
    from feature_store.events import EventBatch
    from feature_store.vectors import Vectors

_NOTHING = -1


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """Vectors as they were logged, n of one contract.

    Attributes:
        requests: What was asked.
        bits: The bits of the float32 vectors, uint32[n, F]: NaN would differ from itself, bits do not.
        statuses: uint8[n, F], each a `Status`.
        applied: By view, the last offset applied by partition: int64[n, partitions], -1 where nothing was; a
            request without a row has -1 throughout.
        watermark_us: The newest recorded time that any of a request's rows had applied, int64[n]; 0 for none.
    """

    requests: Requests
    bits: NDArray[np.uint32]
    statuses: NDArray[np.uint8]
    applied: Mapping[str, NDArray[np.int64]]
    watermark_us: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.bits)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Return the vectors at these rows: a mask or indices."""
        applied = {view: positions[rows] for view, positions in self.applied.items()}
        return type(self)(
            self.requests.take(rows), self.bits[rows], self.statuses[rows], applied, self.watermark_us[rows]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """Where served and recomputed differ, bool[n, F] each; no feature of a request is in two of them.

    Attributes:
        mismatched: Both have a value, of other bits.
        missing: The lake has a value, and none was served.
        extra: A value was served, and the lake has none.
    """

    mismatched: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    extra: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """How far the writers of rows had come, as far as the rows that requests read show it.

    Attributes:
        time_us: The times of the requests, rising, int64[n].
        offsets: By topic, the greatest offset applied by partition that the first so many requests show,
            int64[n + 1, partitions].
    """

    time_us: NDArray[np.int64]
    offsets: Mapping[str, NDArray[np.int64]]

    @classmethod
    def shown_by(cls, contract: Contract, served: Served) -> Self:
        """Return what these vectors, in the order of their requests' times, show."""
        topics = {view.source.topic for view in contract.views}
        return cls(served.requests.time_us, {topic: _shown(contract, served, topic) for topic in topics})

    def by(self, topic: str, time_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how far a topic's partitions had been applied by some times, int64[m, partitions].

        Where no row ever showed anything, every row of the topic may have been lost: nothing excuses then.
        """
        offsets = self.offsets[topic]
        if (offsets[-1] < 0).all():
            return np.full((len(time_us), offsets.shape[1]), np.iinfo(np.int64).max)
        return offsets[self.time_us.searchsorted(time_us, side="right")]


def differences(served: Served, again: Vectors) -> Differences:
    """Compare, bit for bit."""
    was, is_ = served.statuses == Status.PRESENT, again.statuses == Status.PRESENT
    same = served.bits == again.values.astype("<f4").view("<u4")
    return Differences(was & is_ & ~same, is_ & ~was, was & ~is_)


def recompute(
    contract: Contract, events: Mapping[str, EventBatch], served: Served, *, grace_us: int, reached: Reached
) -> Vectors:
    """Return what the lake gives for these vectors.

    Args:
        contract: The model's contract.
        events: By topic, the events of the contract's sources about the requests' entities, in any order; as
            far back as `point_in_time` says.
        served: Vectors.
        grace_us: How long before a request an event must have been recorded, and shown to have been passed,
            to be missed in an absent row. A batch of events reaches its rows one after the other: the grace
            is longer than that takes.
        reached: How far writers had come.
    """
    expected = dict(served.applied)
    lacking = {view.name: (served.applied[view.name] < 0).all(axis=1) for view in contract.views}
    asked = served.requests
    before = Requests(asked.time_us - grace_us, asked.entities, asked.context)
    for view, history, entity in views_of(
        contract, events, before, lambda one: bool(lacking[one.name].any())
    ):
        absent = np.flatnonzero(lacking[view.name] & (entity >= 0))
        past = before.take(absent)
        shown = reached.by(view.source.topic, past.time_us)
        width = max(history.partitions, shown.shape[1], served.applied[view.name].shape[1])
        recorded = AsOf().of(history, past, entity[absent]).applied(width)
        positions = _widened(served.applied[view.name], width)
        positions[absent] = np.minimum(recorded, _widened(shown, width))
        expected[view.name] = positions
    return point_in_time(contract, events, asked, Applied(expected))


def _shown(contract: Contract, served: Served, topic: str) -> NDArray[np.int64]:
    applied = [served.applied[view.name] for view in contract.views if view.source.topic == topic]
    shown = np.full((len(served) + 1, max(part.shape[1] for part in applied)), _NOTHING, np.int64)
    for part in applied:
        np.maximum(shown[1:, : part.shape[1]], part, out=shown[1:, : part.shape[1]])
    greatest: NDArray[np.int64] = np.maximum.accumulate(shown, axis=0)
    return greatest


def _widened(positions: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    widened = np.full((len(positions), width), _NOTHING, np.int64)
    widened[:, : positions.shape[1]] = positions
    return widened
