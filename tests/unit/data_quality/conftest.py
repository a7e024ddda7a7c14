"""A source of readings, and days of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from data_quality.findings import Day, Finding, SourceDay
from data_quality.judging import Judge
from data_quality.memory import MemoryHistory
from feature_store import Check, EventBatch, Json, Source

if TYPE_CHECKING:
    from feature_store.expectations import Expectation

DAY = Day.of("2013-08-30")
FIELDS = {"id": "text", "station": "text", "value": "number", "at": "time", "ok": "flag"}
MINUTE_US = 60_000_000


@dataclass
class Bench:
    """Rows of one source, judged.

    Attributes:
        expectations: What is expected of it.
        rows: (minutes since the day's start, fields that are not as usual).
    """

    expectations: list[Expectation] = field(default_factory=list)
    rows: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    topic: str = "readings.v1"
    chunk: int = 7
    day: Day = DAY

    @property
    def source(self) -> Source:
        return Source(
            self.topic,
            format=Json(FIELDS),
            event_time="at",
            checks=[Check.required("id"), Check.range("value", 0, 100), Check.matches("station", "s[0-9]+")],
            expectations=self.expectations,
            max_lateness=timedelta(days=30),
        )

    @property
    def batch(self) -> EventBatch:
        """The rows as events at offsets 0, 1, ...; `recorded` is minutes since the day's start too."""
        n = len(self.rows)
        plain = [
            {"id": f"r{i}", "station": "s1", "value": 1.0, "ok": 1, "recorded": at, "event": f"e{i}"} | given
            for i, (at, given) in enumerate(self.rows)
        ]

        def column(name: str, dtype: Any) -> Any:
            return np.array([one[name] for one in plain], dtype)

        time_us = DAY.start_us + (np.array([at for at, _ in self.rows]) * MINUTE_US).astype(np.int64)
        return EventBatch(
            self.source,
            {
                "id": column("id", object),
                "station": column("station", object),
                "value": column("value", np.float64),
                "at": time_us,
                "ok": column("ok", np.int8),
            },
            time_us,
            DAY.start_us + (column("recorded", np.float64) * MINUTE_US).astype(np.int64),
            np.zeros(n, np.int32),
            np.arange(n, dtype=np.int64),
            column("event", object),
            np.full(n, b"k", object),
        )

    def judged(self, day: Day = DAY, trend_days: int = 0, **options: Any) -> SourceDay:
        others = options.pop("others", {})
        history = MemoryHistory({self.topic: self.batch, **others}, self.chunk)
        return Judge(self.source, history, options.pop("refusals", None), trend_days).judge(day)

    def finding(self, statistic: str, **options: Any) -> Finding:
        (found,) = [one for one in self.judged(**options).findings if one.statistic == statistic]
        return found


@pytest.fixture
def bench() -> Bench:
    """Twenty-four readings, one an hour."""
    return Bench(rows=[(60.0 * hour, {}) for hour in range(24)])
