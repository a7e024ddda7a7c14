"""Vectors of the past: for many (entity, time) at once, the bits that the online store would have given.

Totals are differences of prefix sums over each entity's events by event time, exact because accumulators are
integers; what was in the window but not known yet is taken off again, event by event. No request costs more
than its window's unknown events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from feature_store.aggregations import NO_NUMBER
from feature_store.offline.history import History
from feature_store.online.claims import repeats
from feature_store.tiles import EMPTY_US, first
from feature_store.vectors import Readings, RowPositions, VectorPlan, Vectors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from feature_store.contract import Contract
    from feature_store.events import EventBatch
    from feature_store.offline.known import Applied, AsOf, Known
    from feature_store.requests import Requests
    from feature_store.tiles import Ring
    from feature_store.vectors import Read


def point_in_time(
    contract: Contract, events: Mapping[str, EventBatch], requests: Requests, known: AsOf | Applied
) -> Vectors:
    """Return the vectors of requests of the past.

    Args:
        contract: The model's contract.
        events: By topic, the events of the contract's sources, in any order. For each request they must reach
            back as far as what its rows may hold: the longest window, and the TTL where it is longer.
        requests: What is asked, in any order.
        known: Which events each request sees.
    """
    plan = VectorPlan(contract)
    counts = {topic: ~repeats(batch.ids, batch.partition, batch.offset) for topic, batch in events.items()}
    readings = Readings(
        np.empty((len(requests), len(plan.views)), np.int64),
        np.empty((len(requests), len(plan.totals)), np.int64),
        np.empty((len(requests), len(plan.lasts)), np.int64),
    )
    positions = []
    for number, view in enumerate(plan.views):
        topic = view.view.source.topic
        history = History(view, events[topic], counts[topic])
        entity = history.numbers_of(requests.entities[view.view.entity.name])
        past = _Past(history, known.of(history, requests, entity), requests.time_us)
        readings.newest_us[:, number] = past.known.newest_us
        totals = [(at, read) for at, read in enumerate(plan.totals) if read.view == number]
        readings.totals[:, [at for at, _ in totals]] = past.totals([read for _, read in totals]).T
        for at, read in enumerate(plan.lasts):
            if read.view == number:
                readings.lasts[:, at] = past.last(read)
        positions.append(past.positions())
    return Vectors(*plan.finish(readings, requests), tuple(positions))


class _Past:
    """What the accumulators of one view held for each request."""

    def __init__(self, history: History, known: Known, time_us: NDArray[np.int64]) -> None:
        self.known = known
        self._history = history
        self._time_us = time_us
        self._any = known.newest_us != EMPTY_US

    def positions(self) -> RowPositions:
        """Return what the requests' rows had applied."""
        view = self._history.plan.view
        applied = self.known.applied(max(view.source.partitions, self._history.partitions))
        return RowPositions(view.name, self._any, applied, self.known.recorded_us())

    def _bounds(self, ring: Ring) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the times from which and before which events count, as the ring's tiles have it."""
        as_of = self._time_us // ring.width_us
        oldest = first(self.known.newest_us // ring.width_us, as_of, ring.count)
        return oldest * ring.width_us, np.maximum(as_of + 1, oldest) * ring.width_us

    def totals(self, reads: Sequence[Read]) -> NDArray[np.int64]:
        """Return what counts and sums held, int64[reads, n]; anything where a request knew no event."""
        totals = np.zeros((len(reads), len(self._time_us)), np.int64)
        if not reads:
            return totals
        bounds = {read.window.ring: self._bounds(read.window.ring) for read in reads}
        entity, sums = self.known.entity, self._history.prefix_sums
        for ring, (start_us, end_us) in bounds.items():
            start, end = self._history.position(entity, start_us), self._history.position(entity, end_us)
            for at, read in enumerate(reads):
                if read.window.ring == ring:
                    of_accumulator = sums[read.placed.number]
                    totals[at] = of_accumulator[end] - of_accumulator[start]
        latest_us = np.max([end_us for _, end_us in bounds.values()], axis=0)
        for request, event in self.known.unknown(latest_us):
            self._take_off(reads, bounds, totals, request, event)
        return totals

    def _take_off(
        self,
        reads: Sequence[Read],
        bounds: Mapping[Ring, tuple[NDArray[np.int64], NDArray[np.int64]]],
        totals: NDArray[np.int64],
        request: NDArray[np.int64],
        event: NDArray[np.int64],
    ) -> None:
        """Take from the totals what requests did not know of."""
        time_us = self._history.time_us[event]
        for ring, (start_us, end_us) in bounds.items():
            inside = np.flatnonzero((time_us >= start_us[request]) & (time_us < end_us[request]))
            requests, events = request[inside], event[inside]
            for at, read in enumerate(reads):
                if read.window.ring == ring:
                    np.subtract.at(
                        totals[at], requests, self._history.contributions[read.placed.number][events]
                    )

    def last(self, read: Read) -> NDArray[np.int64]:
        """Return what a last held: int64[n]."""
        last = np.full(len(self._time_us), NO_NUMBER, np.int64)
        start_us, end_us = self._bounds(read.window.ring)
        valued = self._history.valued(read.placed.number)
        start = valued.position(self.known.entity, start_us)
        place = valued.position(self.known.entity, end_us) - 1
        request = np.flatnonzero(self._any & (place >= start))
        # Step back, all requests at once, from the window's end to the first event that each knew.
        while len(request):
            at = place[request]
            known = self.known.knows(request, valued.event[at])
            last[request[known]] = valued.value[at[known]]
            request = request[~known]
            place[request] -= 1
            request = request[place[request] >= start[request]]
        return last
