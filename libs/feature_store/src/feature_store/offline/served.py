"""What was served, recomputed: the vector that the lake gives for what its rows said they had applied.

A row that was there says by its positions what it had applied, and any difference from that is a defect. A
row that was not there says nothing: what it should have held is what had been recorded some grace before the
request, as far as other rows show that their writer had come by then. So an entity whose first event is on
its way is not missed, and one whose row was lost is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Reached:
    """How far writers had come, as far as rows have shown: by topic, the greatest offset by partition.

    It is carried from one batch of requests to the next, in the order of their times.
    """

    offsets: dict[str, NDArray[np.int64]] = field(default_factory=dict)


def differences(served: Served, again: Vectors) -> Differences:
    """Compare, bit for bit."""
    was, is_ = served.statuses == Status.PRESENT, again.statuses == Status.PRESENT
    same = served.bits == again.values.astype("<f4").view("<u4")
    return Differences(was & is_ & ~same, is_ & ~was, was & ~is_)


def recompute(
    contract: Contract,
    events: Mapping[str, EventBatch],
    served: Served,
    *,
    grace_us: int,
    reached: Reached,
) -> Vectors:
    """Return what the lake gives for these vectors.

    Args:
        contract: The model's contract.
        events: By topic, the events of the contract's sources about the requests' entities, in any order; as
            far back as `point_in_time` says.
        served: Vectors, in the order of their requests' times.
        grace_us: How long before a request an event must have been recorded to be missed in an absent row.
        reached: What earlier batches have shown; what these show is added.
    """
    expected = dict(served.applied)
    shifted = Requests(served.requests.time_us - grace_us, served.requests.entities, served.requests.context)
    lacking = {view.name: (expected[view.name] < 0).all(axis=1) for view in contract.views}
    shown = {topic: _shown(contract, served, topic, reached) for topic in events}
    for view, history, entity in views_of(
        contract, events, shifted, lambda one: bool(lacking[one.name].any())
    ):
        absent = np.flatnonzero(lacking[view.name] & (entity >= 0))
        asked = shifted.take(absent)
        width = max(history.partitions, expected[view.name].shape[1])
        recorded = AsOf().of(history, asked, entity[absent]).applied(width)
        positions = np.full((len(served), width), _NOTHING, np.int64)
        positions[:, : expected[view.name].shape[1]] = expected[view.name]
        positions[absent] = np.minimum(recorded, _widened(shown[view.source.topic], width)[absent])
        expected[view.name] = positions
    return point_in_time(contract, events, served.requests, Applied(expected))


def _shown(contract: Contract, served: Served, topic: str, reached: Reached) -> NDArray[np.int64]:
    """Return how far the writers of a topic's views had come by each request, int64[n, partitions].

    Where no row ever showed anything, every row of the topic may have been lost: nothing excuses then.
    """
    views = [view.name for view in contract.views if view.source.topic == topic]
    width = max(served.applied[name].shape[1] for name in views)
    before = reached.offsets.get(topic, np.full(width, _NOTHING, np.int64))
    width = max(width, len(before))
    shown = np.full((len(served) + 1, width), _NOTHING, np.int64)
    shown[0, : len(before)] = before
    for name in views:
        part = served.applied[name]
        np.maximum(shown[1:, : part.shape[1]], part, out=shown[1:, : part.shape[1]])
    shown = np.maximum.accumulate(shown, axis=0)
    reached.offsets[topic] = shown[-1]
    if (shown[-1] < 0).all():
        return np.full((len(served), width), np.iinfo(np.int64).max)
    return shown[1:]


def _widened(positions: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    widened = np.full((len(positions), max(width, positions.shape[1])), _NOTHING, np.int64)
    widened[:, : positions.shape[1]] = positions
    return widened[:, :width]
