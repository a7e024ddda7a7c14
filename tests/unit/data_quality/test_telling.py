"""A judged day as JSON, as a page and as a measurement."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
from bus.received import Received
from data_quality.documents import document
from data_quality.facts import measured_event
from data_quality.findings import Day, Example, Refusals
from data_quality.judging import digest
from data_quality.page import page
from drift_detector.adapters.wire import told_of
from feature_store import Check, Expect
from retrain_trigger.adapters.reading import measured_of
from tidemark.monitoring.v1 import monitor_pb2 as proto

if TYPE_CHECKING:
    from data_quality.findings import SourceDay

    from tests.unit.data_quality.conftest import Bench


def broken(bench: Bench) -> SourceDay:
    bench.expectations = [Expect.null_rate("value", at_most=0.5), Expect.volume(at_least=1)]
    bench.rows = [(minute, {"value": np.nan}) for minute, _ in bench.rows]
    bench.rows += [(-1440.0 * back, {}) for back in range(1, 10)]
    refused = Refusals("NO_MATCH", 3, (Example(0, 5, "station is '<b>'"),))
    return bench.judged(trend_days=28, refusals={bench.day: (refused,)})


def test_json_has_every_figure_with_its_bound_its_rows_and_its_trend(bench: Bench) -> None:
    told = json.loads(json.dumps(document(broken(bench))))
    assert (told["source"], told["day"], told["verdict"]) == ("readings.v1", "2013-08-30", "FAILED")
    null_rate = next(one for one in told["expectations"] if one["statistic"] == "null_rate")
    assert (null_rate["observed"], null_rate["threshold"], null_rate["failed_rows"]) == (1.0, 0.5, 24)
    assert null_rate["trend"] == {"days": 9, "median": 0.0, "mad": 0.0, "deviations": None}
    assert null_rate["examples"][0] == {"partition": 0, "offset": 0, "told": ""}
    assert told["refused"][0]["count"] == 3


def test_the_page_is_whole_and_shows_what_a_producer_wrote_as_text(bench: Bench) -> None:
    html = page([broken(bench)])
    HTMLParser().feed(html)
    assert "station is &#39;&lt;b&gt;&#39;" in html
    assert html.count("<polyline") == 3  # of every figure that the days before have
    assert "nan" not in html


def test_a_failed_day_is_a_breach_with_what_failed_first(bench: Bench) -> None:
    event = measured_event(broken(bench))
    told = proto.MonitorMeasured.FromString(event.data)
    assert (told.model, told.monitor, told.kind) == (
        "readings.v1",
        "source-quality",
        proto.MONITOR_KIND_DATA_QUALITY,
    )
    assert (told.assessment, told.clear, told.rows) == (proto.ASSESSMENT_BREACHED, False, 24)
    assert (told.measurements[0].statistic, told.measurements[0].value) == ("null_rate", 1.0)
    assert told.reason == "2013-08-30, 24 rows: null_rate of value is 1, expected at most 50.00%."
    assert event.time_us == bench.day.end_us
    assert event.recorded_time_us == bench.day.known_by_us


def test_whoever_reads_measurements_can_read_a_day(bench: Bench) -> None:
    event = measured_event(broken(bench))
    told = told_of(Received("m", 0, 0, event))
    assert (told.reading.breached, told.reading.conclusive, told.reading.rows) == (True, True, 24)
    measured = measured_of(event)
    assert (measured.breached, measured.window_end_us) == (True, bench.day.end_us)


def test_a_day_told_twice_is_one_event_and_one_that_passed_is_clear(bench: Bench) -> None:
    bench.expectations = [Expect.volume(at_least=1)]
    event = measured_event(bench.judged())
    assert event == measured_event(bench.judged())
    told = proto.MonitorMeasured.FromString(event.data)
    assert (told.assessment, told.clear) == (proto.ASSESSMENT_OK, True)


def test_another_expectation_is_another_measurement_and_an_equal_one_is_not(bench: Bench) -> None:
    def of(share: float) -> str:
        bench.expectations = [Expect.passes(Check.one_of("station", ["s2", "s1"]), at_least=share)]
        return digest(bench.source)

    assert of(0.5) == of(0.5) != of(0.6)


def test_a_day_is_read_and_said_as_a_date() -> None:
    day = Day.of("2013-08-30")
    assert (str(day), Day.holding(day.start_us), Day.holding(day.end_us - 1)) == ("2013-08-30", day, day)
