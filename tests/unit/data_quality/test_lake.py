"""Days read out of a real Delta table, and dead letters counted by day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from bus.dead_letters import DeadLetter
from bus.positions import Position
from data_quality import lake as lake_module
from data_quality.findings import Day
from data_quality.judging import Judge
from data_quality.lake import DeltaHistory
from data_quality.quarantine import count_refusals
from deltalake import write_deltalake
from feature_store import Expect
from training_sets.errors import EmptyLake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.unit.data_quality.conftest import Bench


def test_a_table_in_many_files_is_judged_as_the_same_rows_in_memory(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_module, "_ROWS", 5)
    bench.expectations = [Expect.unique("id"), Expect.null_rate("value", at_most=0), Expect.volume()]
    bench.rows += [(-1440.0 + minute, {"value": np.nan}) for minute in range(9)]
    bench.rows[3] = (180.0, {"id": "r9", "value": np.nan})
    events = bench.batch
    for part in np.array_split(np.random.default_rng(5).permutation(len(events)), 4):
        write_deltalake(tmp_path / "sources" / bench.topic, events.take(part).to_arrow(), mode="append")
    history = DeltaHistory(str(tmp_path))
    assert Judge(bench.source, history, None, 2).judge(bench.day) == bench.judged(trend_days=2)
    assert history.newest_recorded_us(bench.source, bench.day.start_us) is not None
    assert history.newest_recorded_us(bench.source, bench.day.known_by_us) is None


def test_a_source_without_a_table_is_named(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(EmptyLake, match=r"no table .*readings.v1"):
        Judge(bench.source, DeltaHistory(str(tmp_path))).judge(bench.day)


async def test_dead_letters_count_once_an_original_on_the_day_it_was_recorded() -> None:
    day = Day.of("2013-08-30")

    async def letters() -> AsyncIterator[DeadLetter]:
        yield letter(1, "OUT_OF_RANGE", day.end_us - 1_000)
        yield letter(1, "OUT_OF_RANGE", day.end_us - 1_000)
        yield letter(0, "OUT_OF_RANGE", day.start_us)
        yield letter(2, "WRONG_TYPE", day.start_us)
        yield letter(3, "OUT_OF_RANGE", day.end_us)

    found = await count_refusals(letters())
    assert {str(day): {one.reason: one.count for one in of} for day, of in found.items()} == {
        "2013-08-30": {"OUT_OF_RANGE": 2, "WRONG_TYPE": 1},
        "2013-08-31": {"OUT_OF_RANGE": 1},
    }
    assert [one.offset for one in found[day][0].examples] == [0, 1]


def letter(offset: int, reason: str, time_us: int) -> DeadLetter:
    """Return a letter whose original has no envelope: the broker's timestamp says when it came."""
    return DeadLetter(
        where=Position("readings.v1.dlq", 0, offset),
        original=Position("readings.v1", 0, offset),
        reason=reason,
        detail="it was so",
        service="feature",
        stack="s",
        time_us=0,
        timestamp_ms=time_us // 1_000,
        key=None,
        value=b"",
        headers=[],
    )
