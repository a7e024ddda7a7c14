"""When windows are told, and what is said when there is little to say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bus.progress import ProgressMarks
from bus.received import Received
from bus.topics import PROGRESSED
from drift_detector.domain.references import Reference
from drift_detector.testing import (
    DAY_US,
    METRICS,
    MODEL,
    MONITORS,
    NAMES,
    TOPICS,
    MemoryFrontier,
    MemoryReferences,
    Process,
    Scene,
    prediction,
    reference,
    resolved,
    watched,
)
from monitoring import DeclarationError
from monitoring.monitors import DataQuality, FeatureDrift, Performance
from tidemark.monitoring.v1 import monitor_pb2 as proto
from tidemark.pipelines.v1.progress_pb2 import ProgressMade

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemark.monitoring.v1.monitor_pb2 import MonitorMeasured

QUALITY = MONITORS[:1]
DRIFT = MONITORS[1:2]
PERFORMANCE = [one for one in MONITORS if isinstance(one, Performance)]


async def _owner(scene: Scene) -> Process:
    process = scene.process()
    await process.own()
    return process


def _requests(
    first_day: int, days: int, *, a_day: int = 50, begin: int = 0, wind: float = 0.0, **given: Any
) -> Iterator[Received]:
    generator = np.random.default_rng(begin + 5)
    for number in range(days * a_day):
        hours = 24 * first_day + number * 24 / a_day
        values = generator.normal(size=3) + np.array((wind, 0, 0))
        at, score = begin + number, float(generator.random())
        yield prediction(f"k{at}", hours=hours, values=values, score=score, offset=at, **given)


def _outcomes(first_day: int, days: int, *, a_day: int = 50, good: bool = True) -> Iterator[Received]:
    """The outcomes of `_requests`: as likely as their scores say, or as unlikely."""
    generator, coin = np.random.default_rng(5), np.random.default_rng(9)
    for at in range(days * a_day):
        hours = 24 * first_day + at * 24 / a_day
        generator.normal(size=3)
        score = float(generator.random())
        truth = float(coin.random() < (score if good else 1 - score))
        yield resolved(f"k{at}", truth, hours=hours, known_hours=hours + 2, score=score, offset=at)


def _end(day: float, offset: int) -> Received:
    """A request that moves event time past whatever came before."""
    return prediction("end", hours=24 * day + 1, offset=offset)


def _moved(fact: Received, partition: int, offset: int) -> Received:
    return Received(fact.topic, partition, offset, fact.event)


def _assessed(found: list[MonitorMeasured]) -> list[str]:
    return [proto.Assessment.Name(one.assessment).removeprefix("ASSESSMENT_") for one in found]


async def test_a_window_is_told_when_requests_have_passed_its_end_and_not_before() -> None:
    scene = Scene(watched=watched(QUALITY))
    process = await _owner(scene)
    await process.take(*_requests(0, 1))
    await process.look()
    assert not scene.measured
    await process.take(prediction("on time", hours=24.05, offset=50))
    await process.look()
    assert not scene.measured
    await process.take(prediction("after", hours=24.1, offset=51))
    await process.look()
    (told,) = scene.measured
    assert (told.monitor, told.rows, told.revision, told.amends) == ("input-quality", 50, 0, False)


async def test_a_partition_that_lags_holds_windows_open() -> None:
    scene = Scene(watched=watched(QUALITY), count=2)
    process = await _owner(scene)
    lagging, reading = scene.partitions[1], scene.partitions[0]
    scene.frontier.known.update({lagging: 30, reading: 120})
    await process.take(*_requests(0, 2, a_day=60))
    await process.look()
    assert not scene.measured
    await process.take(*(_moved(one, 1, one.offset) for one in _requests(0, 2, a_day=15)))
    await process.look()
    assert [one.rows for one in scene.measured] == [75]


async def test_a_window_without_rows_is_told_once_as_insufficient() -> None:
    scene = Scene(watched=watched(QUALITY))
    process = await _owner(scene)
    await process.take(*_requests(0, 1), *_requests(2, 1, begin=50), prediction("end", hours=73, offset=100))
    for _ in range(3):
        await process.look()
    assert _assessed(scene.measured) == ["OK", "INSUFFICIENT", "OK"]
    assert scene.measured[1].rows == 0
    assert scene.measured[1].version == "a"
    assert scene.measured[1].reason.startswith("0 requests in the window")


async def test_years_without_requests_are_not_told_day_by_day() -> None:
    scene = Scene(watched=watched(QUALITY))
    process = await _owner(scene)
    await process.take(*_requests(0, 1), *_requests(2_000, 1, begin=50), _end(2_001, 100))
    await process.look()
    found = scene.measured
    assert len(found) < 50
    assert _assessed([found[0], found[-1]]) == ["OK", "OK"]


async def test_missing_out_of_range_and_new_categories_breach() -> None:
    scene = Scene(watched=watched(QUALITY))
    process = await _owner(scene)
    for day, given in enumerate(
        [{"missing": (1,)}, {"wind": 1e3}, {"entities": {"carrier": "ZZ"}}, {}],
    ):
        await process.take(*_requests(day, 1, begin=50 * day, **given))  # type: ignore[arg-type]
    await process.take(_end(4, 200))
    await process.look()
    assert _assessed(scene.measured) == ["BREACHED", "BREACHED", "BREACHED", "OK"]
    first = [one.measurements[0] for one in scene.measured]
    assert [(one.subject, one.statistic, one.value) for one in first[:3]] == [
        ("rain", "missing_share", 1.0),
        ("wind", "out_of_range_share", 1.0),
        ("carrier", "new_category_share", 1.0),
    ]
    assert "rain missing share 1 (threshold 0.1), on 50 requests." in scene.measured[0].reason


async def test_a_feature_that_moves_breaches_and_is_named_first() -> None:
    scene = Scene(watched=watched(DRIFT))
    process = await _owner(scene)
    await process.take(
        *_requests(0, 4),
        *_requests(4, 4, begin=200, wind=2.0),
        _end(8, 400),
    )
    await process.look()
    assert _assessed(scene.measured) == ["OK", "BREACHED"]
    most = scene.measured[1].measurements[0]
    assert (most.subject, most.statistic, most.rows) == ("wind", "psi", 200)
    assert most.value > most.threshold


@pytest.mark.parametrize(("share", "clear"), [(0.06, True), (0.18, False)])
async def test_just_no_breach_is_not_clear(share: float, clear: bool) -> None:  # noqa: FBT001
    # Twenty points more than in training are a breach; from sixteen on it is not clear any more.
    scene = Scene(watched=watched([replace(QUALITY[0], missing=0.2)]))
    process = await _owner(scene)
    facts = list(_requests(0, 1, a_day=100))
    gone = list(_requests(0, 1, a_day=100, missing=(1,)))[: round(100 * share)]
    await process.take(*gone, *facts[len(gone) :], _end(1, 100))
    await process.look()
    (told,) = scene.measured
    assert (_assessed([told]), told.clear) == (["OK"], clear)


async def test_outcomes_whose_requests_are_lost_do_not_count_as_coverage() -> None:
    scene = Scene(watched=watched(PERFORMANCE))
    process = await _owner(scene)
    await process.take(*list(_requests(0, 4))[:100], *_outcomes(0, 4), _end(6, 200))
    await process.look()
    assert scene.measured[0].label_coverage == 1.0


async def test_part_of_a_window_is_not_compared_with_the_whole_of_training() -> None:
    scene = Scene(watched=watched(DRIFT))
    process = await _owner(scene)
    await process.take(*_requests(2, 2), _end(4, 100))
    await process.look()
    (told,) = scene.measured
    assert _assessed([told]) == ["INSUFFICIENT"]
    assert "served a part of the window only" in told.reason


async def test_a_feature_the_reference_lacks_is_named_and_the_others_decide() -> None:
    lacking = reference(names=("wind", "rain"))
    scene = Scene(watched=watched(DRIFT), references=MemoryReferences({"a": lacking}))
    process = await _owner(scene)
    await process.take(*_requests(0, 4, wind=2.0), _end(4, 200))
    await process.look()
    (told,) = scene.measured
    assert _assessed([told]) == ["BREACHED"]
    assert told.reason.endswith("the reference lacks hour.")
    assert [one.subject for one in told.measurements if one.assessment == proto.ASSESSMENT_NO_REFERENCE] == [
        "hour"
    ]


@pytest.mark.parametrize("monitor", [one.name for one in MONITORS if one.name != "label-drift"])
async def test_a_version_without_a_reference_is_measured_as_such(monitor: str) -> None:
    scene = Scene(
        watched=watched([one for one in MONITORS if one.name == monitor]), references=MemoryReferences({})
    )
    process = await _owner(scene)
    await process.take(*_requests(0, 4), *_outcomes(0, 4), prediction("end", hours=24 * 8, offset=200))
    await process.look()
    assert "NO_REFERENCE" in _assessed(scene.measured[:1])


async def test_a_package_without_the_metric_says_so() -> None:
    whole = reference()
    bare = Reference.of(whole.profile, NAMES, {}, ["carrier"])
    scene = Scene(watched=watched(PERFORMANCE), references=MemoryReferences({"a": bare}))
    process = await _owner(scene)
    await process.take(*_requests(0, 4), *_outcomes(0, 4), prediction("end", hours=24 * 7, offset=200))
    await process.look()
    assert _assessed(scene.measured) == ["NO_REFERENCE"]
    assert "has no roc_auc on a holdout" in scene.measured[0].reason


async def test_the_version_that_served_most_of_a_window_is_the_one_measured() -> None:
    scene = Scene(watched=watched(QUALITY), references=MemoryReferences({"a": reference(), "b": reference()}))
    process = await _owner(scene)
    mostly = [prediction(f"b{n}", hours=n / 2, version="b", offset=n) for n in range(40)]
    few = [prediction(f"a{n}", hours=20 + n / 10, offset=40 + n) for n in range(30)]
    canary = [prediction(f"c{n}", hours=23, version="c", role=2, offset=70 + n) for n in range(90)]
    await process.take(*mostly, *few, *canary, prediction("end", hours=25, offset=160))
    await process.look()
    assert [(one.version, one.rows) for one in scene.measured] == [("b", 40)]


async def test_labels_are_counted_as_they_were_known_at_maturity_and_later_ones_amend() -> None:
    scene = Scene(watched=watched(PERFORMANCE))
    process = await _owner(scene)
    outcomes = list(_outcomes(0, 4))
    late = resolved("k7", 1.0, hours=3.36, known_hours=24 * 6 + 5, offset=199)
    await process.take(
        *_requests(0, 4),
        *outcomes[:7],
        *(_moved(one, 0, one.offset - 1) for one in outcomes[8:]),
        late,
    )
    await process.take(prediction("later", hours=24 * 6 + 6, offset=200))
    await process.look()
    (first,) = scene.measured
    assert (first.revision, first.amends, first.label_coverage) == (0, False, 199 / 200)
    await process.take(prediction("end", hours=24 * 8, offset=201))
    await process.look()
    second = scene.of("quality")[1]
    assert (second.revision, second.amends, second.label_coverage) == (1, True, 1.0)
    assert second.measurements[0].statistic == "roc_auc"


async def test_a_window_with_all_its_labels_is_final_before_its_maturity() -> None:
    eager = Performance(
        "quality", model=MODEL, window=timedelta(days=4), minimum_rows=40, worse_by=0.15, coverage=0.97
    )
    scene = Scene(watched=watched([eager]))
    process = await _owner(scene)
    await process.take(*_requests(0, 4), *_outcomes(0, 4), _end(4, 200))
    await process.look()
    (told,) = scene.measured
    assert told.label_coverage >= 0.97


async def test_monitors_of_labels_wait_until_outcomes_are_in_and_progress_waits_with_them() -> None:
    scene = Scene(frontier=MemoryFrontier(labels_us=0))
    process = await _owner(scene)
    await process.take(*_requests(0, 8), *_outcomes(0, 8), _end(8, 400))
    await process.look()
    assert {one.monitor for one in scene.measured} == {"input-quality", "input-drift", "score-drift"}
    assert not scene.log.events(PROGRESSED.name)
    scene.frontier.labels_us = 10 * DAY_US
    await process.look()
    assert {one.monitor for one in scene.measured} == {one.name for one in MONITORS}
    marks = ProgressMarks()
    for event in scene.log.events(PROGRESSED.name):
        marks.merge(ProgressMade.FromString(event.data))
    assert {where.topic: mark.next_offset for where, mark in marks.of("g.measured").items()} == {
        TOPICS.answers: 401,
        TOPICS.resolved: 400,
    }


async def test_good_scores_pass_and_scores_upside_down_breach() -> None:
    for good, expected in ((True, "OK"), (False, "BREACHED")):
        scene = Scene(watched=watched(PERFORMANCE))
        process = await _owner(scene)
        await process.take(
            *_requests(0, 4), *_outcomes(0, 4, good=good), prediction("end", hours=24 * 7, offset=200)
        )
        await process.look()
        (told,) = scene.measured
        assert _assessed([told]) == [expected]
        assert told.measurements[0].reference == METRICS["roc_auc"]
        assert {one.slice for one in told.measurements} == {"", "carrier=UA"}


async def test_where_training_s_labels_were_not_of_two_classes_no_label_drift_is_judged() -> None:
    known = reference()
    of_many = replace(known, profile=replace(known.profile, label_rate=None))
    drift = [one for one in MONITORS if one.name == "label-drift"]
    scene = Scene(watched=watched(drift), references=MemoryReferences({"a": of_many}))
    owner = await _owner(scene)
    await owner.take(*_requests(1, 14), *_outcomes(1, 14), _end(22, 900))
    await owner.look()
    told = [one for one in scene.of("label-drift") if "not of two classes" in one.reason]
    assert told
    assert {one.assessment for one in told} == {proto.ASSESSMENT_NO_REFERENCE}


async def test_within_one_boundary_data_quality_is_told_first() -> None:
    scene = Scene()
    process = await _owner(scene)
    await process.take(*_requests(0, 4), _end(4, 200))
    await process.look()
    assert [one.monitor for one in scene.measured][-3:] == ["input-quality", "input-drift", "score-drift"]


async def test_an_owner_that_dies_after_telling_tells_the_same_again() -> None:
    scene = Scene()
    facts = [*_requests(0, 8), *_outcomes(0, 8), prediction("end", hours=24 * 11, offset=400)]
    first = await _owner(scene)
    await first.take(*facts)
    writes = scene.diaries.write

    async def forgets(*_: object) -> None:
        """Die before what was told is written down."""

    scene.diaries.write = forgets  # type: ignore[method-assign, assignment]
    await first.look()
    told = len(scene.measured)
    scene.diaries.write = writes  # type: ignore[method-assign]
    second = await _owner(scene)
    await second.look()
    assert len(scene.log.events(TOPICS.measured)) == 2 * told
    assert len(scene.measured) == told


async def test_old_grains_are_forgotten_once_measured() -> None:
    scene = Scene(watched=watched(QUALITY))
    process = await _owner(scene)
    await process.take(*_requests(0, 1), *_requests(60, 1, begin=50), _end(61, 100))
    await process.look()
    held = await scene.answers.held(scene.partitions[0])
    assert {place.grain_us // DAY_US for place in held.places} == {60, 61}


def test_monitors_whose_lengths_have_little_in_common_are_refused() -> None:
    odd = FeatureDrift("odd", model=MODEL, window=timedelta(days=7, seconds=1))
    with pytest.raises(DeclarationError, match="no common divisor"):
        watched([DataQuality("input-quality", model=MODEL), odd])


async def test_other_grains_go_on_with_what_was_counted() -> None:
    hourly = DataQuality("hourly", model=MODEL, window=timedelta(hours=5), minimum_rows=5)
    scene = Scene(watched=watched([hourly]))
    process = await _owner(scene)
    await process.take(*_requests(0, 2))
    await process.look()
    told = len(scene.measured)
    scene.watched = watched(QUALITY)
    process = await _owner(scene)
    await process.take(*_requests(2, 1, begin=100), _end(3, 150))
    await process.look()
    assert [(one.monitor, one.rows) for one in scene.measured[told:]] == [
        ("input-quality", 50),
        ("input-quality", 50),
    ]
