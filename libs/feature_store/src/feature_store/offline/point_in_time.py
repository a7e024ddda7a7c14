"""Vectors of the past: for many (entity, time) at once, the bits that the online store would have given.

No request costs more than its window's unknown events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from feature_store.offline.held import Added, Ordered, Stepped, Window, held_by
from feature_store.offline.history import History
from feature_store.offline.ranges import Stretches
from feature_store.online.claims import repeats
from feature_store.requests import Requests
from feature_store.tiles import EMPTY_US, first
from feature_store.vectors import Positions, Readings, RowPositions, VectorPlan, Vectors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from feature_store.contract import Contract
    from feature_store.events import EventBatch
    from feature_store.offline.known import Applied, AsOf, Known
    from feature_store.plans import ViewPlan
    from feature_store.tiles import Ring
    from feature_store.vectors import Read


def point_in_time(
    contract: Contract, events: Mapping[str, EventBatch], requests: Requests, known: AsOf | Applied
) -> Vectors:
    """Return the vectors of requests of the past.

    Args:
        contract: The model's contract.
        events: By topic, the events of the contract's sources, in any order. For each request they must reach
            back as far as what its rows may hold: the longest window, and the TTL where it is longer. For a
            window of all time that is the source's first event.
        requests: What is asked, in any order.
        known: Which events each request sees.
    """
    plan = VectorPlan(contract)
    counts = {topic: ~repeats(batch.ids, batch.partition, batch.offset) for topic, batch in events.items()}
    newest_us = np.empty((len(requests), len(plan.views)), np.int64)
    held: dict[Read, NDArray[np.int64]] = {}
    positions = []
    for number, view in enumerate(plan.views):
        topic = view.view.source.topic
        past = past_of(view, events[topic], counts[topic], requests, known)
        newest_us[:, number] = past.newest_us()
        reads = reads_of(plan, number)
        held.update(zip(reads, past.read(reads), strict=True))
        positions.append(past.positions())
    return Vectors(*plan.finish(readings_of(plan, newest_us, held), requests), Positions(positions))


def past_of(
    view: ViewPlan, events: EventBatch, counts: NDArray[np.bool_], requests: Requests, known: AsOf | Applied
) -> Past:
    """Return what one view's rows held for each request.

    Args:
        view: The view.
        events: Of its source; all there are of the entities that are asked about.
        counts: Which of them are no repeats.
        requests: What is asked.
        known: Which events each request sees.
    """
    history = History(view, events, counts)
    entity = history.numbers_of(requests.keys_of(view.view.entity))
    # Requests in the order of events: all that is looked up lies close to what was looked up before.
    order = np.argsort(history.times.of(entity, requests.time_us))
    ordered = Requests(requests.time_us[order], {}, {})
    return Past(history, known.take(order).of(history, ordered, entity[order]), ordered.time_us, order)


def reads_of(plan: VectorPlan, view: int) -> list[Read]:
    """Return what is read of one view's rows, by the view's number."""
    return [read for read in (*plan.totals, *plan.lasts, *plan.wides) if read.view == view]


def readings_of(
    plan: VectorPlan, newest_us: NDArray[np.int64], held: Mapping[Read, NDArray[np.int64]]
) -> Readings:
    """Return the readings that vectors are made of, from what each accumulator held."""
    return Readings(
        newest_us,
        _columns([held[read] for read in plan.totals], len(newest_us)),
        _columns([held[read] for read in plan.lasts], len(newest_us)),
        [held[read] for read in plan.wides],
    )


def _columns(columns: Sequence[NDArray[np.int64]], n: int) -> NDArray[np.int64]:
    return np.stack(columns, axis=1) if columns else np.empty((n, 0), np.int64)


class Past:
    """What the accumulators of one view held for each request, in the order of the requests.

    Inside, requests are in an order of their own.
    """

    def __init__(
        self, history: History, known: Known, time_us: NDArray[np.int64], order: NDArray[np.int64]
    ) -> None:
        """Prepare.

        Args:
            history: The view's events.
            known: What requests, in this object's order, knew of them.
            time_us: Their times.
            order: Which request each is.
        """
        self._history = history
        self._known = known
        self._time_us = time_us
        self._place = np.empty_like(order)
        self._place[order] = np.arange(len(order))

    def newest_us(self) -> NDArray[np.int64]:
        """Return the newest event time known, int64[n]; `EMPTY_US` where no event was."""
        return self._known.newest_us[self._place]

    def positions(self) -> RowPositions:
        """Return what the requests' rows had applied."""
        view = self._history.plan.view
        applied = self._known.applied(max(view.source.partitions, self._history.partitions))
        found = self.newest_us() != EMPTY_US
        recorded_us = self._known.recorded_us()[self._place]
        return RowPositions(view.name, found, applied[self._place], recorded_us, view.source.partitions)

    def read(self, reads: Sequence[Read]) -> list[NDArray[np.int64]]:
        """Return what each accumulator held, int64[n] or int64[n, words or tiles]: see `Readings`.

        Anything where a request knew no event.
        """
        windows = {ring: self._window(ring) for ring in dict.fromkeys(read.window.ring for read in reads)}
        held: dict[Read, Added | Ordered | Stepped] = {
            read: held_by(read, windows[read.window.ring], self._history, self._known) for read in reads
        }
        by_window = [
            (window, [one for read, one in held.items() if read.window.ring == ring])
            for ring, window in windows.items()
        ]
        done = self._leave_out_unknown([pair for pair in by_window if not pair[0].ring.of_all_time])
        for window, all_held in by_window:
            ordered = [one for one in all_held if isinstance(one, Ordered)]
            if ordered:
                rest = np.arange(len(done)) if window.ring.of_all_time else np.flatnonzero(~done)
                known = Stretches.whole(rest, window.start, window.end)
                for one in ordered:
                    one.look_up(known)
        return [held[read].held[self._place] for read in reads]

    def _leave_out_unknown(
        self, by_window: Sequence[tuple[Window, Sequence[Added | Ordered | Stepped]]]
    ) -> NDArray[np.bool_]:
        """Take off what requests did not know, or look up what lies between it.

        Returns:
            Which requests there were unknown events of, bool[n]; nothing was looked up for the others.
        """
        done = np.zeros(len(self._time_us), np.bool_)
        sought = [
            (window, some)
            for window, held in by_window
            if (some := [one for one in held if not isinstance(one, Stepped)])
        ]
        if not sought:
            return done
        latest_us = np.max([window.end_us for window, _ in sought], axis=0)
        for request, event in self._known.unknown(latest_us):
            requests = request[np.append(True, request[1:] != request[:-1])]
            done[requests] = True
            for window, some in sought:
                inside = window.holds(request, event)
                _leave_out(window, some, requests, (request[inside], event[inside]))
        return done

    def _window(self, ring: Ring) -> Window:
        as_of = ring.tile(self._time_us)
        if ring.of_all_time:
            known = self._known
            return Window(
                ring, known.lists.event, known.start, known.place, self._time_us, self._time_us, as_of
            )
        oldest = first(ring.tile(self._known.newest_us), as_of, ring.count)
        start_us, end_us = oldest * ring.width_us, np.maximum(as_of + 1, oldest) * ring.width_us
        start = self._history.position(self._known.entity, start_us)
        end = self._history.position(self._known.entity, end_us)
        no_further = np.where(self._known.end_known < 0, len(self._history), self._known.end_known)
        end = np.minimum(end, no_further)
        start = np.minimum(start, end)
        return Window(ring, slice(None), start[:, None], end[:, None], start_us, end_us, as_of)


def _leave_out(
    window: Window,
    held: Sequence[Added | Ordered],
    requests: NDArray[np.int64],
    unknown: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> None:
    """Leave out the pairs of a request and an event of the window that it did not know; see `Stretches`."""
    ordered = [one for one in held if isinstance(one, Ordered)]
    for one in held:
        if isinstance(one, Added):
            one.take_off(*unknown)
    if ordered:
        bounds = window.start[requests, 0], window.end[requests, 0]
        known = Stretches.between(requests, bounds, unknown)
        for one in ordered:
            one.look_up(known)
