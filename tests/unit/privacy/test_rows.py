"""A subject's row is deleted, or made again of what was recorded later, whatever its writers do meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from feature_store import Count, Entity, EventBatch, FeatureView, Incoming, Json, Source, decode_events
from feature_store import field as read
from feature_store.online import Applier
from feature_store.online.backfill_plan import Plan
from feature_store.online.backfill_ports import Note
from feature_store.online.epochs import MemoryEpochs
from feature_store.online.memory import MemoryClaims, MemoryFeatureRows
from feature_store.rows import revision_of, row_key
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from privacy.rows import RowFate, RowsHeld, Store, erase_subject

ORDERS = Source("orders.v1", Json({"customer": "text", "amount": "number"}), event_time=None, partitions=2)
SECOND_US = 1_000_000


class Orders(FeatureView):
    """What a customer ordered."""

    source = ORDERS
    entity = Entity("customer")
    count = Count(window="1d")
    large = Count(window="1d", where=read("amount") > 5)


VIEW = Orders.view
KEY = row_key(VIEW.name, VIEW.digest, "ann")


def orders(*told: tuple[str, int, int]) -> EventBatch:
    """Return orders: customer, second, partition; offsets count up by partition."""
    offsets = [sum(one[2] == other[2] for other in told[:number]) for number, one in enumerate(told)]
    times = [second * SECOND_US for _, second, _ in told]
    values = [f'{{"customer": "{name}", "amount": {second}}}'.encode() for name, second, _ in told]
    found, _ = decode_events(
        ORDERS,
        Incoming(
            values,
            [f"i{n}" for n in range(len(told))],
            [b""] * len(told),
            times,
            times,
            [partition for _, _, partition in told],
            offsets,
        ),
    )
    return found


@dataclass
class History:
    """The lake: everything, up to what it has reached."""

    events: EventBatch
    end: int = 100
    looks: int = 0

    async def reached(self, source: Source) -> Mapping[int, int]:
        assert source is ORDERS
        self.looks += 1
        return {0: self.end, 1: self.end}

    async def of_key(self, source: Source, field: str, key: str) -> EventBatch:
        assert source is ORDERS
        return self.events.take(self.events.columns[field] == key)


@dataclass
class Kept:
    """A store in memory, with a writer that may come between."""

    history: History
    rows: MemoryFeatureRows = field(default_factory=MemoryFeatureRows)
    epochs: MemoryEpochs = field(default_factory=MemoryEpochs)
    noted: Note | None = None
    between: list[EventBatch] = field(default_factory=list)

    async def delete(self, key: bytes, revision: bytes) -> bool:
        if self.between:
            await self.apply(self.between.pop())
        if revision_of(self.rows.stored.get(key)) == revision:
            self.rows.stored.pop(key, None)
        return key not in self.rows.stored

    async def note(self) -> Note | None:
        return self.noted

    async def pause(self) -> None:
        self.history.end += 1

    async def apply(self, events: EventBatch) -> None:
        await Applier([VIEW], self.rows, MemoryClaims()).apply(events)

    async def erase(self, until_s: int) -> dict[str, RowFate]:
        store = Store(self.rows, self, self.epochs, self.note, self.history, self.pause)
        return await erase_subject([VIEW], "ann", until_s * SECOND_US, store, now_us=50 * SECOND_US)


EVENTS = orders(("ann", 1, 0), ("ann", 2, 1), ("bob", 3, 0), ("ann", 8, 0), ("ann", 9, 1))


async def kept(events: EventBatch) -> Kept:
    found = Kept(History(EVENTS))
    await found.epochs.begin()
    await found.apply(events)
    return found


async def test_a_row_of_the_past_alone_is_deleted_and_writers_forget_it() -> None:
    store = await kept(EVENTS.take(np.arange(3)))
    other = store.rows.stored[row_key(VIEW.name, VIEW.digest, "bob")]
    assert await store.erase(5) == {"orders": RowFate.DELETED}
    assert store.rows.stored == {row_key(VIEW.name, VIEW.digest, "bob"): other}
    assert (await store.epochs.read()).detail != "fresh"
    assert await store.erase(5) == {"orders": RowFate.ABSENT}


async def test_a_row_with_later_events_is_what_they_alone_would_have_made() -> None:
    store = await kept(EVENTS)
    revision_before = revision_of(store.rows.stored[KEY])
    assert await store.erase(5) == {"orders": RowFate.REPLACED}
    alone = Kept(History(EVENTS))
    await alone.apply(EVENTS.take(np.array([3, 4])))
    made = store.rows.stored[KEY]
    assert made[24:] == alone.rows.stored[KEY][24:]
    assert revision_of(made) > revision_before


async def test_what_the_row_has_not_applied_yet_is_left_to_its_writer() -> None:
    store = await kept(EVENTS.take(np.arange(4)))
    await store.erase(5)
    await store.apply(EVENTS.take(np.array([4])))
    whole = Kept(History(EVENTS))
    await whole.apply(EVENTS.take(np.array([3, 4])))
    assert store.rows.stored[KEY][24:] == whole.rows.stored[KEY][24:]


async def test_a_writer_that_comes_between_loses_nothing() -> None:
    store = await kept(EVENTS.take(np.arange(3)))
    store.between.append(EVENTS.take(np.array([3, 4])))
    assert await store.erase(5) == {"orders": RowFate.REPLACED}
    alone = Kept(History(EVENTS))
    await alone.apply(EVENTS.take(np.array([3, 4])))
    assert store.rows.stored[KEY][24:] == alone.rows.stored[KEY][24:]


async def test_it_waits_until_the_lake_has_what_the_row_has() -> None:
    store = await kept(EVENTS)
    store.history.end = 0
    await store.erase(5)
    assert store.history.looks > 2


async def test_rows_that_a_backfill_is_replacing_are_left_alone() -> None:
    store = await kept(EVENTS)
    store.noted = Note("r", 1, Plan({}, again=False, holds=[], limits={}, begins=False), {})
    with pytest.raises(RowsHeld, match="backfill"):
        await store.erase(5)
    assert KEY in store.rows.stored


async def test_a_row_that_cannot_be_read_is_deleted() -> None:
    store = await kept(EVENTS)
    store.rows.stored[KEY] = b"TM" + bytes(70)
    assert (await store.erase(5))["orders"] in {RowFate.DELETED, RowFate.REPLACED}


told = st.tuples(st.sampled_from(["ann", "bob"]), st.integers(0, 30), st.integers(0, 1))


@given(st.lists(told, min_size=1, max_size=20), st.integers(0, 30), st.data())
async def test_whatever_was_applied_and_comes_later_the_row_is_that_of_what_is_left(
    listed: list[tuple[str, int, int]], until_s: int, data: st.DataObject
) -> None:
    events = orders(*listed)
    applied = data.draw(st.integers(0, len(events)))
    store = Kept(History(events))
    await store.epochs.begin()
    await store.apply(events.take(np.arange(applied)))
    await store.erase(until_s)
    # Whoever goes on leaves out what was erased.
    rest = events.take(np.arange(applied, len(events)))
    await store.apply(rest.take(~_erased(rest, until_s)))
    alone = Kept(History(events))
    await alone.apply(events.take(~_erased(events, until_s)))
    assert {key: row[24:] for key, row in store.rows.stored.items()} == {
        key: row[24:] for key, row in alone.rows.stored.items()
    }


def _erased(events: EventBatch, until_s: int) -> NDArray[np.bool_]:
    erased: NDArray[np.bool_] = (events.columns["customer"] == "ann") & (
        events.recorded_time_us <= until_s * SECOND_US
    )
    return erased
