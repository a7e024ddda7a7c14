"""Counting: once each, whatever is repeated, contradicted, late, early or malformed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bus.errors import Unavailable
from bus.events import Event
from bus.positions import TopicPartition
from bus.received import Received
from bus.watermarks import Watermark
from drift_detector.adapters.memory import MemoryShares
from drift_detector.domain.inputs import InputSketch
from drift_detector.domain.outcomes import EVERYTHING, LabelSketch, labelled, positives
from drift_detector.testing import DAY_US, MODEL, TOPICS, Scene, prediction, resolved

if TYPE_CHECKING:
    from drift_detector.domain.windows import Place

ANSWERS, OUTCOMES = (TopicPartition(topic, 0) for topic in TOPICS.inputs)


async def _inputs(scene: Scene) -> dict[Place, InputSketch]:
    return dict(await scene.answers.sketches(ANSWERS, sorted((await scene.answers.held(ANSWERS)).places)))


def _days(place: Place) -> tuple[int, int]:
    return place.grain_us // DAY_US, place.known_us // DAY_US


async def _labels(scene: Scene) -> dict[Place, LabelSketch]:
    return dict(await scene.outcomes.sketches(OUTCOMES, sorted((await scene.outcomes.held(OUTCOMES)).places)))


async def test_a_request_is_counted_where_and_when_it_belongs() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    await process.take(
        prediction("one", hours=1),
        prediction("soon", hours=23.99, known_hours=24.05, offset=1),
        prediction("late", hours=2, known_hours=50, offset=2),
        prediction("next", hours=25, offset=3),
    )
    found = {
        (place.grain_us // DAY_US, place.known_us // DAY_US): sketch.rows
        for place, sketch in (await _inputs(scene)).items()
    }
    assert found == {(0, 0): 2, (0, 2): 1, (1, 1): 1}


async def test_values_are_counted_against_the_version_s_own_reference() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    await process.take(
        prediction("a", values=(0, 0, 0)),
        prediction("b", values=(1e6, 0, 0), missing=(1,), entities={"carrier": "ZZ"}, offset=1),
    )
    (sketch,) = (await _inputs(scene)).values()
    reference = scene.references.known["a"]
    assert (sketch.rows, sketch.champion_rows, sketch.profiled) == (2, 2, 2)
    assert int(reference.bins_of(sketch.bins, "wind").sum()) == 2
    assert int(reference.bins_of(sketch.bins, "rain").sum()) == 1
    assert sketch.missing.tolist() == [0, 1, 0]
    assert sketch.outside.tolist() == [1, 0, 0]
    assert sketch.unseen == {"carrier": 1}
    assert int(reference.score_bins(sketch.bins).sum()) == 2


async def test_a_vector_given_without_entities_is_of_no_category_that_training_never_saw() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    await process.take(prediction("a", entities={}))
    (sketch,) = (await _inputs(scene)).values()
    assert (sketch.profiled, sketch.unseen) == (1, {"carrier": 0})


async def test_a_value_that_is_no_number_is_missing() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    await process.take(prediction("a", values=(np.nan, np.inf, 0)))
    (sketch,) = (await _inputs(scene)).values()
    assert sketch.missing.tolist() == [1, 1, 0]


async def test_an_unknown_version_and_a_vector_of_another_length_are_counted_without_a_profile() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    await process.take(prediction("a", version="z"), prediction("b", values=(0, 0), offset=1))
    assert [(one.rows, one.profiled, len(one.bins)) for one in (await _inputs(scene)).values()] == [
        (1, 0, 0),
        (1, 0, 0),
    ]


async def test_a_repeat_under_another_offset_counts_once_even_after_a_restart() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    await process.take(prediction("a"), prediction("a", offset=1, known_hours=30))
    again = scene.process()
    assert (await again.own())[ANSWERS] == 2
    await again.take(prediction("a", offset=2), prediction("b", offset=3))
    assert sum(sketch.rows for sketch in (await _inputs(scene)).values()) == 2


async def test_many_requests_of_one_crowd_are_remembered_piece_by_piece() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    facts = [prediction(f"k{number}", offset=number) for number in range(5_000)]
    for begin in range(0, 5_000, 700):
        await process.take(*facts[begin : begin + 700])
    again = scene.process()
    await again.own()
    repeats = [prediction(f"k{number}", offset=5_000 + number) for number in range(5_000)]
    await again.take(*repeats)
    assert sum(sketch.rows for sketch in (await _inputs(scene)).values()) == 5_000


async def test_shadows_and_models_without_monitors_are_passed_over() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    refused = await process.take(
        prediction("a", role=3),
        prediction("b", model="other", offset=1),
        resolved("a", 1, role=3),
    )
    assert not refused
    assert not await _inputs(scene)
    assert not await _labels(scene)


async def test_a_correction_takes_back_what_it_corrects_when_it_becomes_known() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    await process.take(
        resolved("a", 1, known_hours=5), resolved("a", 0, revision=1, known_hours=30, offset=1)
    )
    by_day = {
        place.known_us // DAY_US: sketch[EVERYTHING] for place, sketch in (await _labels(scene)).items()
    }
    assert (labelled(by_day[0]), positives(by_day[0])) == (1, 1)
    assert (labelled(by_day[1]), positives(by_day[1])) == (0, -1)
    total = by_day[0] + by_day[1]
    assert (labelled(total), positives(total)) == (1, 0)


async def test_an_older_revision_after_a_newer_one_changes_nothing() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    assert not await process.take(
        resolved("a", 0, revision=1),
        resolved("a", 1, revision=0, offset=1),
        resolved("a", 0, revision=1, offset=2),
    )
    (sketch,) = (await _labels(scene)).values()
    assert (labelled(sketch[EVERYTHING]), positives(sketch[EVERYTHING])) == (1, 0)


async def test_a_contradiction_is_refused_and_the_first_stays() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    (refused,) = await process.take(resolved("a", 1), resolved("a", 0, offset=1))
    assert (refused.reason, refused.received.offset) == ("CONTRADICTED_OUTCOME", 1)
    (sketch,) = (await _labels(scene)).values()
    assert positives(sketch[EVERYTHING]) == 1


async def test_outcomes_are_counted_by_part_and_rare_parts_together() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    await process.take(
        resolved("a", 1, entities={"carrier": "UA"}),
        resolved("b", 0, entities={"carrier": "ZZ"}, offset=1),
        resolved("c", 0, entities={}, offset=2),
    )
    (sketch,) = (await _labels(scene)).values()
    assert {part: labelled(tally) for part, tally in sketch.items()} == {
        "": 3,
        "carrier=UA": 1,
        "carrier=(other)": 2,
    }


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"prediction_id": ""}, "MISSING_FIELD"),
        ({"model": ""}, "MISSING_FIELD"),
        ({"version": ""}, "MISSING_FIELD"),
        ({"score": float("inf")}, "NOT_A_NUMBER"),
        ({"score": float("nan")}, "NOT_A_NUMBER"),
        ({"role": 0}, "UNKNOWN_ROLE"),
    ],
)
async def test_an_answer_that_lacks_something_is_refused_by_name(given: dict[str, Any], reason: str) -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    refused = await process.take(prediction("good"), prediction("bad", offset=1, **given))
    assert [(one.reason, one.received.offset) for one in refused] == [(reason, 1)]
    assert [sketch.rows for sketch in (await _inputs(scene)).values()] == [1]


async def test_the_score_of_a_regression_is_counted_and_its_outcomes_are_refused() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    (refused,) = await process.take(
        prediction("a", score=350.0), prediction("b", score=-7.0, offset=1), resolved("a", 1, score=350.0)
    )
    assert refused.reason == "NOT_A_PROBABILITY"
    assert [sketch.rows for sketch in (await _inputs(scene)).values()] == [2]


@pytest.mark.parametrize("value", [0.5, -1.0, float("nan")])
async def test_an_outcome_that_is_no_yes_or_no_is_refused(value: float) -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    (refused,) = await process.take(resolved("a", value))
    assert refused.reason == "NOT_A_BINARY_OUTCOME"


@pytest.mark.parametrize("topic", TOPICS.inputs)
async def test_bytes_that_are_no_message_are_refused_and_passed(topic: str) -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    event = Event("x", "t", "s", "", 1, 1, b"k", b"\xff\xff")
    (refused,) = await process.take(Received(topic, 0, 0, event))
    assert refused.reason == "MALFORMED_PAYLOAD"
    assert (await scene.process().own())[TopicPartition(topic, 0)] == 1


async def test_a_clock_years_ahead_closes_nobody_s_windows() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    await process.take(prediction("a", hours=24 * 4_000, known_hours=2))
    (mark,) = (await scene.answers.marks([ANSWERS])).values()
    assert mark.event_us < DAY_US


async def test_facts_about_forgotten_grains_are_passed_over() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    await process.take(prediction("a", hours=1), prediction("b", hours=60, offset=1))
    await scene.answers.forget(ANSWERS, DAY_US)
    again = scene.process()
    await again.own()
    await again.take(prediction("c", hours=3, offset=2), prediction("d", hours=61, offset=3))
    assert {place.grain_us // DAY_US: sketch.rows for place, sketch in (await _inputs(scene)).items()} == {
        2: 2
    }


class _Flaky(MemoryShares[InputSketch]):
    """Fails once, before or after it has saved."""

    def __init__(self, *, saves: bool) -> None:
        super().__init__()
        self._saves = saves
        self._fails = True

    async def save(self, *given: Any) -> bool:
        if not self._fails:
            return await super().save(*given)
        self._fails = False
        if self._saves:
            await super().save(*given)
        raise Unavailable("nobody knows whether it was saved")


@pytest.mark.parametrize("saves", [True, False])
async def test_a_save_that_fails_counts_everything_once_when_it_is_tried_again(saves: bool) -> None:  # noqa: FBT001
    scene = Scene(answers=_Flaky(saves=saves))
    process = scene.process()
    await process.own()
    batch = [prediction("a"), prediction("b", offset=1)]
    with pytest.raises(Unavailable):
        await process.take(*batch)
    await process.take(*batch)
    assert [sketch.rows for sketch in (await _inputs(scene)).values()] == [2]


async def test_a_store_that_lost_its_newest_writes_is_noticed() -> None:
    scene = Scene()
    process = scene.process()
    await process.own()
    await process.take(*(prediction(f"k{number}", offset=number) for number in range(10)))
    lost: MemoryShares[InputSketch] = MemoryShares()
    await lost.save(ANSWERS, 0, Watermark(4, 0, 1), {}, {})
    scene.answers._hashes = lost._hashes  # type: ignore[attr-defined]
    with pytest.raises(Unavailable, match="lost its newest writes"):
        await process.take(prediction("next", offset=10))
    assert scene.lost
    assert MODEL in scene.watched.monitors
