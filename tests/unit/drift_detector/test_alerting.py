"""One state an alert, whoever reads the measurements and how often."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bus.events import Event
from bus.received import Received
from drift_detector.adapters.alerts import alert_of, runbook_of
from drift_detector.bootstrap import Watched
from drift_detector.testing import DAY_US, MODEL, MONITORS, TOPICS, Scene, prediction, watched
from feature_store import load_project
from hypothesis import given as drawn
from hypothesis import strategies as st
from monitoring.source_quality import SourceQuality
from tidemark.monitoring.v1 import alert_pb2 as proto
from tidemark.monitoring.v1.alert_pb2 import AlertChanged
from tidemark.monitoring.v1.monitor_pb2 import MonitorMeasured

_OK, _BREACHED, _INSUFFICIENT = 1, 2, 3


def _figure(subject: str, assessment: int) -> dict[str, Any]:
    figure = {"statistic": "missing_share", "value": 0.5, "reference": 0.1, "threshold": 0.2, "rows": 100}
    return figure | {"subject": subject, "assessment": assessment}


def _measured(day: int, assessment: int, *, offset: int | None = None, **given: Any) -> Received:
    message = MonitorMeasured(
        **{
            "model": MODEL,
            "monitor": "input-quality",
            "version": "a",
            "rows": 100,
            "assessment": assessment,
            "clear": assessment == _OK,
            "reason": f"Day {day}.",
            "measurements": [
                _figure("rain", assessment),
                {"subject": "wind", "statistic": "ks", "value": 0.5},
            ],
        }
        | given
    )
    message.window_start.FromMicroseconds(day * DAY_US)
    message.window_end.FromMicroseconds((day + 1) * DAY_US)
    end_us = (day + 1) * DAY_US
    event = Event.of(message, id=f"m:{day}", source="t", key=MODEL, time_us=end_us, recorded_time_us=end_us)
    return Received(TOPICS.measured, 0, day if offset is None else offset, event)


def _states(scene: Scene) -> list[tuple[str, int, int]]:
    return [
        (proto.AlertState.Name(one.state).removeprefix("ALERT_STATE_"), one.episode, one.revision)
        for one in scene.alerts
    ]


async def test_an_alert_fires_goes_on_and_is_resolved() -> None:
    scene = Scene()
    alerting = scene.process().parts.alerting
    days = enumerate([_BREACHED, _BREACHED, _OK, _OK])
    await alerting.on_measured([_measured(day, assessment) for day, assessment in days])
    assert _states(scene) == [("FIRING", 1, 0), ("FIRING", 1, 1), ("RESOLVED", 1, 2)]
    last = scene.alerts[-1]
    assert last.requests_affected == 200
    assert last.resolved_at.ToMicroseconds() == 3 * DAY_US


async def test_an_alert_says_what_whoever_is_woken_needs() -> None:
    scene = Scene()
    await scene.process().parts.alerting.on_measured([_measured(0, _BREACHED)])
    (alert,) = scene.alerts
    assert alert.fingerprint == f"{MODEL}:input-quality"
    assert alert.type == proto.ALERT_TYPE_DATA_QUALITY
    assert alert.severity == proto.SEVERITY_WARNING
    assert alert.owner == "weather-team"
    assert alert.runbook == "docs/runbooks/data-quality.md"
    assert alert.summary == f"input-quality of {MODEL} is firing. Day 0."
    (evidence,) = alert.evidence
    assert (evidence.subject, evidence.before, evidence.now, evidence.threshold) == ("rain", 0.1, 0.5, 0.2)
    (event,) = scene.log.events(TOPICS.alerts)
    assert event.id == f"alert:{MODEL}:input-quality:1:0"
    assert event.time_us == DAY_US


async def test_at_most_ten_figures_are_evidence() -> None:
    many = [_figure(f"f{number:02}", _BREACHED) for number in range(30)]
    scene = Scene()
    await scene.process().parts.alerting.on_measured([_measured(0, _BREACHED, measurements=many)])
    assert [one.subject for one in scene.alerts[0].evidence] == [f"f{number:02}" for number in range(10)]


@pytest.mark.parametrize(
    ("assessment", "given"),
    [(_BREACHED, {"provisional": True}), (_BREACHED, {"amends": True}), (_INSUFFICIENT, {}), (4, {})],
)
async def test_what_is_not_conclusive_changes_no_alert(assessment: int, given: dict[str, Any]) -> None:
    scene = Scene()
    await scene.process().parts.alerting.on_measured([_measured(0, assessment, **given)])
    assert not scene.alerts


async def test_a_monitor_that_is_no_longer_declared_changes_nothing() -> None:
    scene = Scene()
    assert not await scene.process().parts.alerting.on_measured([_measured(0, _BREACHED, monitor="gone")])
    assert not scene.alerts


async def test_a_sources_day_raises_an_alert_that_its_next_good_day_resolves() -> None:
    sources = [SourceQuality(model="flights.departed.v1", owner="flight operations")]
    scene = Scene(watched=replace(watched(), sources=sources))
    told = {"model": "flights.departed.v1", "monitor": "source-quality"}
    days = [_measured(day, assessment, **told) for day, assessment in enumerate([_BREACHED, _OK])]
    await scene.process().parts.alerting.on_measured([*days, days[0], days[1]])
    assert _states(scene) == [("FIRING", 1, 0), ("RESOLVED", 1, 1)]
    assert scene.alerts[0].fingerprint == "flights.departed.v1:source-quality"
    assert scene.alerts[0].owner == "flight operations"
    assert scene.alerts[0].runbook == "docs/runbooks/data-quality.md"


def test_every_source_of_a_project_has_a_monitor_of_its_days() -> None:
    found = Watched.of(load_project("examples.flights"), [])
    assert [(one.model, one.name, one.owner) for one in found.sources] == [
        ("flights.departed.v1", "source-quality", "flight operations"),
        ("flights.arrived.v1", "source-quality", "flight operations"),
        ("weather.observed.v1", "source-quality", "weather desk"),
    ]


async def test_what_is_no_measurement_is_refused_and_the_others_count() -> None:
    scene = Scene()
    broken = Received(TOPICS.measured, 0, 0, Event("x", "t", "s", "", 1, 1, b"k", b"\xff\xff"))
    nowhere = _measured(0, _BREACHED, offset=1)
    empty = MonitorMeasured(model=MODEL, monitor="input-quality", assessment=2)
    unbounded = Received(
        TOPICS.measured, 0, 2, Event("y", "t", "s", "", 1, 1, b"k", empty.SerializeToString())
    )
    refused = await scene.process().parts.alerting.on_measured([broken, nowhere, unbounded])
    assert [one.reason for one in refused] == ["MALFORMED_PAYLOAD", "NOT_A_WINDOW"]
    assert len(scene.alerts) == 1


@drawn(
    days=st.lists(st.sampled_from([_OK, _BREACHED, _INSUFFICIENT]), min_size=1, max_size=12),
    cuts=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=6),
)
async def test_repeats_restarts_and_replicas_tell_each_state_once(
    days: list[int], cuts: list[tuple[int, int]]
) -> None:
    facts = [_measured(day, assessment) for day, assessment in enumerate(days)]
    quiet, busy = Scene(), Scene()
    await quiet.process().parts.alerting.on_measured(facts)
    reached = 0
    for back, forth in cuts:
        begin = max(0, reached - back)
        await busy.process().parts.alerting.on_measured(facts[begin : reached + forth])
        reached = min(len(facts), reached + forth)
    await busy.process().parts.alerting.on_measured(facts[reached:])
    assert busy.alerts == quiet.alerts
    assert len({event.id for event in busy.log.events(TOPICS.alerts)}) == len(busy.alerts)


async def test_a_state_that_was_told_reads_back_as_it_was() -> None:
    scene = Scene()
    await scene.process().parts.alerting.on_measured([_measured(0, _BREACHED), _measured(1, _OK)])
    for message in scene.alerts:
        alert = alert_of(AlertChanged.FromString(message.SerializeToString()))
        assert alert.state.value == proto.AlertState.Name(message.state).removeprefix("ALERT_STATE_")
        assert (alert.resolved_at_us is None) == (alert.state.value != "RESOLVED")


@pytest.mark.parametrize("kind", [kind for kind in proto.AlertType.values() if 1 <= kind <= 6])
def test_every_type_of_alert_has_its_runbook(kind: int) -> None:
    assert (Path(__file__).parents[3] / runbook_of(kind)).is_file()


async def test_from_requests_to_an_alert() -> None:
    scene = Scene(watched=watched(MONITORS[:1]))
    process = scene.process()
    await process.own()
    for at in range(72):
        missing = (1,) if 24 <= at < 48 else ()
        await process.take(prediction(f"k{at}", hours=at, missing=missing, offset=at))
    await process.take(prediction("end", hours=73, offset=72))
    await process.look()
    await scene.alert(process)
    assert _states(scene) == [("FIRING", 1, 0), ("RESOLVED", 1, 1)]
    assert scene.alerts[0].evidence[0].subject == "rain"
