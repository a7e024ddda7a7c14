"""A row of another format, or cut short, harms nobody: the next event begins it anew, and it is counted."""

from __future__ import annotations

import numpy as np
import pytest
from feature_store import Count, Entity, FeatureView, Incoming, Json, Source, decode_events
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows
from feature_store.plans import plan_of
from feature_store.rows import row_key

SENSED = Source("sensed", format=Json({"sensor": "text", "at": "time"}), event_time="at", partitions=1)


class SensorThings(FeatureView):
    source, entity = SENSED, Entity("sensor")
    things_all = Count(window="all")


KEY = row_key("sensor_things", SensorThings.view.digest, "s")


def sensed(offset: int) -> Incoming:
    payload = b'{"sensor": "s", "at": "1970-01-01T01:00:00Z"}'
    return Incoming([payload], [str(offset)], [b""], [0], [3_600_000_000], [0], [offset])


async def applied(rows: MemoryFeatureRows, offset: int) -> int:
    batch, _ = decode_events(SENSED, sensed(offset))
    return (await Applier([SensorThings.view], rows, MemoryClaims()).apply(batch)).unreadable


def things(rows: MemoryFeatureRows) -> int:
    layout, words = plan_of(SensorThings.view).layout.decode([rows.stored[KEY]])
    return int(words[0, layout.tiles])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row[:2] + b"\x00\x00" + row[4:],
        lambda row: row[:2] + b"\x02\x00" + row[4:],
        lambda row: row[:8] + bytes(8) + row[16:],
        lambda row: row[:-1],
        lambda row: row[:13],
        lambda row: row[:0],
    ],
    ids=["older format", "newer format", "another definition", "cut", "cut in its head", "empty"],
)
async def test_an_unreadable_row_is_counted_and_begun_anew(spoil: object) -> None:
    assert callable(spoil)
    rows = MemoryFeatureRows()
    assert [await applied(rows, offset) for offset in range(3)] == [0, 0, 0]
    assert things(rows) == 3
    rows.stored[KEY] = spoil(rows.stored[KEY])
    assert await applied(rows, 3) == 1
    assert things(rows) == 1
    assert await applied(rows, 4) == 0
    assert things(rows) == 2


async def test_a_row_that_another_writer_spoils_meanwhile_is_counted_too() -> None:
    rows, claims = MemoryFeatureRows(), MemoryClaims()
    applier = Applier([SensorThings.view], rows, claims)
    batches = [decode_events(SENSED, sensed(offset))[0] for offset in range(2)]
    await applier.apply(batches[0])
    # It wrote a row of its own format: this one's cache knows nothing of that.
    rows.stored[KEY] = b"TM\x02\x00" + bytes(100)
    application = await applier.apply(batches[1])
    assert (application.unreadable, application.conflicts, application.rows_written) == (1, 1, 1)
    assert things(rows) == 1
    assert np.frombuffer(rows.stored[KEY], "<u2")[1] == 1
