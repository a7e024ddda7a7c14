"""Each expectation, held and broken."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from data_quality.findings import Day, Example, Refusals, Verdict
from feature_store import Check, Expect, Json, Source, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from feature_store.expectations import Expectation

    from tests.unit.data_quality.conftest import Bench

HOUR = timedelta(hours=1)


def test_a_day_as_declared_passes(bench: Bench) -> None:
    bench.expectations = [
        Expect.volume(at_least=20, at_most=24),
        Expect.fresh(within=HOUR),
        Expect.unique("id"),
        Expect.null_rate("value", at_most=0),
        Expect.passes(Check.range("value", 0, 2), at_least=1),
    ]
    judged = bench.judged()
    assert {one.verdict for one in judged.findings} == {Verdict.PASSED}
    assert judged.rows == 24


@pytest.mark.parametrize(
    ("expected", "change", "value", "offsets"),
    [
        (Expect.null_rate("value", at_most=0.04), {"value": np.nan}, 1 / 24, [5]),
        (Expect.null_rate("ok", at_most=0.04), {"ok": -1}, 1 / 24, [5]),
        (Expect.passes(Check.range("value", 0, 9), at_least=0.99), {"value": 50.0}, 23 / 24, [5]),
        (Expect.passes(Check.one_of("station", ["s1"]), at_least=0.99), {"station": "s2"}, 23 / 24, [5]),
        (Expect.passes(Check.that(field("value") < 2, "BIG"), at_least=1), {"value": 50.0}, 23 / 24, [5]),
        (Expect.passes(Check.required("station"), at_least=1), {"station": ""}, 23 / 24, [5]),
        (Expect.unique("id"), {"id": "r7"}, 1.0, [7]),
        (Expect.unique("id", "station"), {"id": "r7"}, 1.0, [7]),
    ],
)
def test_a_row_that_breaks_it_is_counted_and_named(
    bench: Bench, expected: Expectation, change: dict[str, Any], value: float, offsets: list[int]
) -> None:
    bench.expectations = [expected]
    assert bench.finding(expected.statistic).verdict is Verdict.PASSED
    bench.rows[5] = (300.0, change)
    found = bench.finding(expected.statistic)
    assert (found.verdict, found.value, found.failed) == (Verdict.FAILED, value, 1)
    assert [one.offset for one in found.examples] == offsets


def test_an_event_that_was_delivered_twice_is_one_event(bench: Bench) -> None:
    bench.expectations = [Expect.unique("id")]
    bench.rows.append((61.0, {"id": "r1", "event": "e1"}))
    assert bench.finding("repeated").verdict is Verdict.PASSED
    bench.rows[-1] = (61.0, {"id": "r1", "event": "another"})
    assert bench.finding("repeated").value == 1


def test_rows_that_a_later_check_would_refuse_are_told(bench: Bench) -> None:
    bench.rows[3] = (180.0, {"value": 1_048.4})
    bench.rows[4] = (240.0, {"station": "Newark"})
    found = bench.finding("conforms")
    assert (found.verdict, found.failed) == (Verdict.FAILED, 2)
    assert found.examples[0] == Example(0, 3, "value is 1048.4")
    assert found.examples[1].offset == 4


@pytest.mark.parametrize(
    ("rows", "verdict"), [(20, "PASSED"), (19, "FAILED"), (24, "PASSED"), (25, "FAILED")]
)
def test_volume_takes_both_its_bounds(bench: Bench, rows: int, verdict: str) -> None:
    bench.expectations = [Expect.volume(at_least=20, at_most=24)]
    bench.rows = [(float(minute), {}) for minute in range(rows)]
    assert bench.finding("events").verdict == verdict


def test_silence_is_not_fresh_and_neither_is_what_comes_late(bench: Bench) -> None:
    bench.expectations = [Expect.fresh(within=HOUR)]
    assert bench.finding("oldest_seconds").value == 3_600
    del bench.rows[5]
    silent = bench.finding("oldest_seconds")
    assert (silent.value, silent.verdict) == (7_200, Verdict.FAILED)
    assert "at 2013-08-30 06:00:00Z the newest event was of 2013-08-30 04:00:00Z" in silent.detail
    bench.rows.insert(5, (300.0, {"recorded": 330.0}))
    assert bench.finding("oldest_seconds").value == 5_400


def test_the_day_before_says_how_old_the_newest_event_is_in_the_morning(bench: Bench) -> None:
    bench.expectations = [Expect.fresh(within=HOUR)]
    bench.rows = [(minutes, {}) for minutes, _ in bench.rows[3:]]
    assert bench.finding("oldest_seconds").value == 27 * 3_600  # nothing known: a whole day and three hours
    bench.rows.insert(0, (-30.0, {}))
    assert bench.finding("oldest_seconds").value == 3.5 * 3_600


def test_a_clock_that_runs_ahead_over_midnight_is_known_from_the_days_beginning(bench: Bench) -> None:
    bench.expectations = [Expect.fresh(within=HOUR)]
    bench.rows = [(0.5, {"recorded": -0.5})]
    assert bench.finding("oldest_seconds").value == 24 * 3_600 - 30


def test_references_are_looked_for_in_the_other_source_and_before_the_day(bench: Bench) -> None:
    other = Source("stations.v1", format=Json({"station": "text", "at": "time"}), event_time="at")
    bench.expectations = [
        Expect.references("station", other, "station", at_least=1, within=HOUR, where=field("ok"))
    ]
    columns = {"station": np.array(["s1", "s2"], object)}
    events = bench.batch.take(np.array([0, 1]))
    hour_us = 3_600_000_000
    time_us = np.array([bench.day.start_us - hour_us, bench.day.start_us - hour_us - 1])
    known = replace(
        events,
        source=other,
        columns=columns | {"at": time_us},
        event_time_us=time_us,
        recorded_time_us=time_us,
    )
    bench.rows[2] = (120.0, {"station": None})
    bench.rows[3] = (180.0, {"station": "s3", "ok": 0})
    assert bench.finding("known_share", others={"stations.v1": known}).verdict is Verdict.PASSED
    bench.rows[4] = (240.0, {"station": "s2"})
    found = bench.finding("known_share", others={"stations.v1": known})
    assert (found.verdict, found.value) == (Verdict.FAILED, 1 - 1 / 22)
    assert found.examples == (Example(0, 4, "station is 's2'"),)


def test_what_was_refused_at_the_door_counts_against_its_share(bench: Bench) -> None:
    bench.expectations = [Expect.refused(at_most=0.03)]
    assert bench.finding("refused_share").verdict is Verdict.INSUFFICIENT
    assert bench.finding("refused_share", refusals={}).verdict is Verdict.PASSED
    refusals = {bench.day: (Refusals("OUT_OF_RANGE", 1, (Example(0, 9, "1,048 mph"),)),)}
    found = bench.finding("refused_share", refusals=refusals)
    assert (found.value, found.verdict) == (0.04, Verdict.FAILED)


def test_a_day_without_rows_passes_nothing_that_needs_rows(bench: Bench) -> None:
    bench.expectations = [
        Expect.null_rate("value", at_most=0.5),
        Expect.unique("id"),
        Expect.volume(at_least=1),
        Expect.fresh(within=HOUR),
    ]
    judged = bench.judged(Day(bench.day.number + 7))
    assert [one.verdict for one in judged.findings] == [
        Verdict.INSUFFICIENT,
        Verdict.INSUFFICIENT,
        Verdict.INSUFFICIENT,
        Verdict.FAILED,
        Verdict.FAILED,
    ]


def test_what_is_recorded_an_hour_after_the_day_or_later_changes_no_figure(bench: Bench) -> None:
    bench.expectations = [Expect.volume(at_least=1)]
    bench.rows += [(600.0, {"recorded": 25 * 60 - 0.001}), (600.0, {"recorded": 25 * 60.0})]
    assert bench.judged().rows == 25


def test_a_figure_is_held_beside_the_median_and_the_mad_of_the_days_before(bench: Bench) -> None:
    bench.expectations = [Expect.volume()]
    bench.rows = [(-1440.0 * back + at, {}) for back in range(1, 9) for at in range(10 + back % 3)]
    bench.rows += [(float(at), {}) for at in range(20)]
    trend = bench.judged(trend_days=28).trends["events", ""]
    assert [value for _, value in trend.values] == [12, 11, 10, 12, 11, 10, 12, 11]
    assert (trend.median, trend.mad) == (11.0, 1.0)
    assert trend.deviations == pytest.approx((20 - 11) / 1.4826)


@given(st.permutations(range(24)), st.integers(1, 30))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_order_and_chunks_change_nothing(bench: Bench, order: list[int], chunk: int) -> None:
    bench.expectations = [
        Expect.unique("id"),
        Expect.fresh(within=HOUR),
        Expect.null_rate("value", at_most=0.1),
        Expect.passes(Check.one_of("station", ["s1"]), at_least=0.5),
    ]

    def told(rows: list[int], chunk: int) -> list[Any]:
        bench.chunk = chunk
        bench.rows = [(60.0 * row, MIXED[row % 6] | {"event": f"x{row}"}) for row in rows]
        return [(one.name, one.value, one.verdict, one.failed) for one in bench.judged().findings]

    assert told(order, chunk) == told([*range(24)], 24)


MIXED: list[dict[str, Any]] = [{}, {"value": np.nan}, {"station": "s2"}, {"id": "same"}, {}, {"id": None}]
