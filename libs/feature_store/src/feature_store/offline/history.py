"""A view's events, each once, by entity and event time: what the past is read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_store.aggregations import NO_NUMBER
from feature_store.offline.sorting import CompositeKeys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feature_store.events import EventBatch
    from feature_store.plans import ViewPlan


class History:
    """The events of one view by entity. Entities are numbered; -1 is one without events.

    Attributes:
        plan: The view.
        entity: The entity's number, int64[m], rising.
        time_us: Event time, rising within an entity.
        recorded_us: Recorded time.
        partition: Partition of the source.
        offset: Offset in the partition.
        entities: Number of entities.
        partitions: Number of partitions there are events of.
        contributions: int64[accumulators of the view, m].
        times: Composite keys of an entity and an event time.
    """

    def __init__(self, plan: ViewPlan, batch: EventBatch, counts: NDArray[np.bool_]) -> None:
        self.plan = plan
        self._entities, number = _numbered(plan.view.keys_of(batch))
        self.entities = len(self._entities)
        chosen = np.flatnonzero(counts & (number >= 0))
        self.times = CompositeKeys(batch.event_time_us, self.entities)
        keys = self.times.of(number[chosen], batch.event_time_us[chosen])
        order = np.argsort(keys)
        self._keys, chosen = keys[order], chosen[order]
        self.entity = number[chosen]
        self.time_us = batch.event_time_us[chosen]
        self.recorded_us = batch.recorded_time_us[chosen]
        self.partition = batch.partition[chosen].astype(np.int64)
        self.offset = batch.offset[chosen]
        self.partitions = int(self.partition.max(initial=-1)) + 1
        self.contributions = plan.contributions(batch)[:, chosen]

    def __len__(self) -> int:
        return len(self.entity)

    def numbers_of(self, entities: NDArray[Any]) -> NDArray[np.int64]:
        """Return the entities' numbers."""
        found = pc.index_in(pa.array(entities, pa.string()), self._entities)
        return _filled(found)

    def position(self, entity: NDArray[np.int64], time_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index of each entity's first event at or after a time."""
        return self._keys.searchsorted(self.times.of(entity, time_us))

    def valued(self, number: int) -> Valued:
        """Return the events that bring an accumulator a value to keep."""
        return Valued(self, self.contributions[number])


class Valued:
    """The events with a value for one accumulator that keeps one, by entity, then event time, then value.

    Attributes:
        event: Their indexes in the history, int64[k].
        value: Their sortable values, int64[k].
    """

    def __init__(self, history: History, values: NDArray[np.int64]) -> None:
        event = np.flatnonzero(values != NO_NUMBER)
        event = event[np.lexsort((values[event], history.time_us[event], history.entity[event]))]
        self.event, self.value = event, values[event]
        self._times = history.times
        self._keys = history.times.of(history.entity[event], history.time_us[event])

    def position(self, entity: NDArray[np.int64], time_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index, among these events, of each entity's first at or after a time."""
        return self._keys.searchsorted(self._times.of(entity, time_us))


def _numbered(keys: NDArray[Any]) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return the distinct keys, and for each key its number among them; -1 for null and empty keys."""
    encoded = pa.array(keys, pa.string()).dictionary_encode()
    number = _filled(encoded.indices)
    empty = _filled(pc.index_in(pa.array([""], pa.string()), encoded.dictionary))[0]
    return encoded.dictionary, np.where(number == empty, -1, number)


def _filled(numbers: pa.Array) -> NDArray[np.int64]:
    filled: NDArray[np.int64] = pc.fill_null(numbers.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return filled
