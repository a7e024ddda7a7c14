"""What was known when: the events that a request of the past could see.

A request knows, of each of some lists of its entity's events, everything before a place: of one list in the
order of recording (`AsOf`), or of one list a partition in the order of offsets (`Applied`). So the newest
time that it knows is a running maximum, and what it did not know though it lies in a window is the stretch
from that place to where the list has left the window for good.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from feature_store.offline.sorting import CompositeKeys, Greatest
from feature_store.rows import NOTHING_APPLIED
from feature_store.tiles import EMPTY_US

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from feature_store.offline.history import History
    from feature_store.requests import Requests

PAIRS_A_CHUNK: Final = 2_000_000
"""Bounds the memory that comparing requests with events takes, to about 100 MB."""

NEVER_US: Final = -EMPTY_US
"""A time after all others."""


class Lists:
    """An entity's events in lists, each list in an order of its own, laid end to end.

    Attributes:
        group: The list of each place, rising.
        event: The event at each place, by its index in the history.
    """

    def __init__(
        self, history: History, group: NDArray[np.int64], rank: NDArray[np.int64], groups: int
    ) -> None:
        self._history = history
        self._groups = groups
        self._composite = CompositeKeys(rank, groups)
        keys = self._composite.of(group, rank)
        self.event = np.argsort(keys)
        self._keys, self.group = keys[self.event], group[self.event]

    @cached_property
    def _times(self) -> CompositeKeys:
        return CompositeKeys(self._history.time_us, self._groups)

    @cached_property
    def _least_time_ahead(self) -> NDArray[np.int64]:
        return _least_ahead(self._times.of(self.group, self._history.time_us[self.event]))

    def start(self, group: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where each list begins."""
        return self._keys.searchsorted(group * self._composite.base)

    def after(self, group: NDArray[np.int64], rank: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return each list's first place of a greater rank, or where it ends."""
        return self._keys.searchsorted(self._composite.of(group, rank + 1))

    def left(self, group: NDArray[np.int64], before_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return each list's first place from which on no event is before a time, or where it ends."""
        return self._least_time_ahead.searchsorted(self._times.of(group, before_us))

    def least_recorded_from(self, group: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the least recorded time from a place on in its list; `NEVER_US` where that has ended."""
        least_us = np.full(place.shape, NEVER_US)
        within = place < len(self.group)
        within[within] = self.group[place[within]] == group[within]
        recorded = CompositeKeys(self._history.recorded_us, self._groups)
        least = _least_ahead(recorded.of(self.group, self._history.recorded_us[self.event]))
        least_us[within] = recorded.values(least[place[within]])
        return least_us

    def greatest(self, values: NDArray[np.int64]) -> Greatest:
        """Return the running maximum over the lists of a value of each event."""
        return Greatest(self.group, values[self.event], self._groups)


def _least_ahead(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the least of each key and those after it in its list: keys of later lists are greater."""
    least: NDArray[np.int64] = np.minimum.accumulate(keys[::-1])[::-1]
    return least


class Known(ABC):
    """What `n` requests knew of one view's events.

    Attributes:
        entity: The requests' entities, by their number in the history, int64[n].
        lists: Lists of events, of each of which a request knows a beginning.
        group: The lists that a request knows of, int64[n, lists of an entity].
        place: Where its knowledge of each ends.
        start: Where each begins.
        end_known: Where a request knows exactly the first of its entity's events by event time: the index in
            the history up to which it knows them, exclusive; -1 where others are among them, int64[n].
    """

    def __init__(
        self,
        history: History,
        entity: NDArray[np.int64],
        lists: Lists,
        group: NDArray[np.int64],
        rank: NDArray[np.int64],
    ) -> None:
        self._history = history
        self.entity, self.lists, self.group = entity, lists, group
        self.start, self.place = lists.start(group), lists.after(group, rank)
        self.end_known = self._first_events()
        self.newest_us = self._greatest(history.time_us)

    @abstractmethod
    def knows(self, request: NDArray[np.int64], event: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which requests knew which events of their entities, pair by pair."""

    @abstractmethod
    def applied(self, partitions: int) -> NDArray[np.int64]:
        """Return the last offset known by partition, int64[n, partitions]."""

    def _first_events(self) -> NDArray[np.int64]:
        """Return `end_known`: -1 unless lists and history have the entities' events at the same places."""
        return np.full(len(self.entity), -1, np.int64)

    def recorded_us(self) -> NDArray[np.int64]:
        """Return the newest recorded time known, int64[n]; `EMPTY_US` where nothing was."""
        return self._greatest(self._history.recorded_us)

    def oldest_unknown_us(self) -> NDArray[np.int64]:
        """Return the least recorded time of an event of the request's entity that it did not know, int64[n].

        `NEVER_US` where it knew them all.
        """
        oldest_us: NDArray[np.int64] = self.lists.least_recorded_from(self.group, self.place).min(axis=1)
        return oldest_us

    def _greatest(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        greatest: NDArray[np.int64] = (
            self.lists.greatest(values).before(self.start, self.place, EMPTY_US).max(axis=1)
        )
        return greatest

    def unknown(self, before_us: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield (request, event) in chunks: what a request did not know of its entity's events before a time.

        Some at or after the time may be among them, but none that it knew. Requests that knew nothing are
        left out, and those whose knowledge `end_known` tells. The requests of a chunk rise, and all pairs of
        one are in the same chunk.
        """
        if np.all(self.end_known >= 0):
            return
        end = self.lists.left(self.group, before_us[:, None])
        asked = (self.newest_us != EMPTY_US) & (self.end_known < 0)
        ahead = np.maximum(end - self.place, 0) * asked[:, None]
        request, _ = np.nonzero(ahead)
        first, length = self.place[ahead > 0], ahead[ahead > 0]
        ends = np.cumsum(length)
        begin = 0
        while begin < len(length):
            taken = ends[begin - 1] if begin else 0
            stop = max(begin + 1, int(ends.searchsorted(taken + PAIRS_A_CHUNK, side="right")))
            stop = int(request.searchsorted(request[stop - 1], side="right"))
            part = slice(begin, stop)
            within = np.arange(ends[stop - 1] - taken) - np.repeat(
                ends[part] - length[part] - taken, length[part]
            )
            place = np.repeat(first[part], length[part]) + within
            yield np.repeat(request[part], length[part]), self.lists.event[place]
            begin = stop


@dataclass(frozen=True, slots=True)
class AsOf:
    """A request knows the events recorded at or before its time: what training may see."""

    def take(self, rows: NDArray[np.int64]) -> AsOf:
        """Return what the requests at these rows see."""
        del rows
        return self

    def of(self, history: History, requests: Requests, entity: NDArray[np.int64]) -> Known:
        """Return what requests, about these entities, knew of a view's events."""
        return _KnownAsOf(history, requests, entity)


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """A request knows the events that its rows had applied: what serving saw.

    Attributes:
        positions: By view, the last offset applied by partition: int64[n, partitions], -1 where nothing was.
            A request without a row has -1 throughout.
    """

    positions: Mapping[str, NDArray[np.int64]]

    def take(self, rows: NDArray[np.int64]) -> Applied:
        """Return what the requests at these rows see."""
        return Applied({view: applied[rows] for view, applied in self.positions.items()})

    def of(self, history: History, requests: Requests, entity: NDArray[np.int64]) -> Known:
        """Return what requests, about these entities, knew of a view's events."""
        del requests
        return _KnownApplied(history, self.positions[history.plan.view.name], entity)


class _KnownAsOf(Known):
    """One list an entity, by recorded time."""

    def __init__(self, history: History, requests: Requests, entity: NDArray[np.int64]) -> None:
        lists = Lists(history, history.entity, history.recorded_us, history.entities)
        self._time_us = requests.time_us
        super().__init__(history, entity, lists, entity[:, None], requests.time_us[:, None])

    def _first_events(self) -> NDArray[np.int64]:
        place = self.place[:, 0]
        # Each entity has as many places in the list as events in the history, so a place is an index in both.
        greatest = np.append(-1, np.maximum.accumulate(self.lists.event))
        return np.where(greatest[place] == place - 1, place, -1)

    def knows(self, request: NDArray[np.int64], event: NDArray[np.int64]) -> NDArray[np.bool_]:
        return self._history.recorded_us[event] <= self._time_us[request]

    def applied(self, partitions: int) -> NDArray[np.int64]:
        history, applied = self._history, np.full((len(self.entity), partitions), NOTHING_APPLIED, np.int64)
        for partition in range(min(partitions, history.partitions)):
            greatest = self.lists.greatest(
                np.where(history.partition == partition, history.offset, NOTHING_APPLIED)
            )
            applied[:, partition] = greatest.before(self.start[:, 0], self.place[:, 0], NOTHING_APPLIED)
        return applied


class _KnownApplied(Known):
    """A list a partition and entity, by offset."""

    def __init__(self, history: History, positions: NDArray[np.int64], entity: NDArray[np.int64]) -> None:
        partitions = max(history.partitions, positions.shape[1])
        group = history.entity * partitions + history.partition
        lists = Lists(history, group, history.offset, history.entities * partitions)
        self._positions = np.full((len(entity), partitions), NOTHING_APPLIED, np.int64)
        self._positions[:, : positions.shape[1]] = positions
        of_requests = entity[:, None] * partitions + np.arange(partitions)
        super().__init__(history, entity, lists, of_requests, self._positions)

    def knows(self, request: NDArray[np.int64], event: NDArray[np.int64]) -> NDArray[np.bool_]:
        return self._history.offset[event] <= self._positions[request, self._history.partition[event]]

    def applied(self, partitions: int) -> NDArray[np.int64]:
        return self._positions[:, :partitions]
