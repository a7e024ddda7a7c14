from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from bus.errors import Unavailable
from bus.memory import MemoryLog
from bus.positions import Position, TopicPartition
from bus.watermarks import Watermark
from shadow_comparator.adapters.logs import LedgerMarks, LedgerWindowLog
from shadow_comparator.adapters.memory import MemoryLedger
from shadow_comparator.domain.facts import Role
from shadow_comparator.domain.windows import Answer, Glimpse, Window
from shadow_comparator.testing import HOUR_US, KEEPING, TOPICS, World, outcome, prediction
from tidemark.scoring.v1.prediction_pb2 import Role as ProtoRole

if TYPE_CHECKING:
    from bus.records import OutgoingRecord


async def test_an_answer_and_its_shadow_meet_the_outcome() -> None:
    world = World()
    await world.process().take(
        prediction("k", score=0.4), prediction("k", score=0.6, shadow=True), outcome("k", 1.0)
    )
    assert set(world.resolved) == {"id-k:a:0", "id-k:b:0"}
    champion, shadow = world.resolved["id-k:a:0"], world.resolved["id-k:b:0"]
    assert (champion.role, champion.score, champion.outcome) == (ProtoRole.ROLE_CHAMPION, 0.4, 1.0)
    assert (shadow.role, shadow.score, shadow.variant) == (ProtoRole.ROLE_SHADOW, 0.6, "shadow")
    assert dict(champion.entities) == {"origin": "JFK"}


async def test_an_outcome_that_comes_first_waits_for_the_answer() -> None:
    world = World()
    await world.process().take(outcome("k", 1.0))
    assert world.resolved == {}
    await world.process().take(prediction("k"))
    assert set(world.resolved) == {"id-k:a:0"}


async def test_every_revision_resolves_the_answer_anew() -> None:
    world = World()
    process = world.process()
    await process.take(outcome("k", 0.0, revision=1))
    await process.take(prediction("k"))
    await process.take(outcome("k", 1.0))
    assert {name: message.outcome for name, message in world.resolved.items()} == {
        "id-k:a:0": 1.0,
        "id-k:a:1": 0.0,
    }


async def test_the_latest_revision_is_the_truth_of_the_window() -> None:
    world = World()
    process = world.process()
    await process.take(prediction("k"), outcome("k", 0.0, revision=1))
    await process.take(outcome("k", 1.0))
    contents = await LedgerWindowLog(world.ledger, KEEPING).contents(Window("delay", 0))
    assert contents.truths == {"id-k": 0.0}


async def test_labels_do_not_meet_answers_of_other_labels() -> None:
    world = World()
    await world.process().take(prediction("k"), outcome("k", 1.0, label="cancelled"))
    assert world.resolved == {}


async def test_an_answer_lies_in_the_window_of_its_request_time() -> None:
    world = World()
    await world.process().take(
        prediction("k", hours=23.99, score=0.4),
        prediction("l", hours=24),
        prediction("k", hours=23.99, shadow=True),
    )
    windows = LedgerWindowLog(world.ledger, KEEPING)
    assert await windows.glimpse("delay") == [Glimpse(0, 2, 1, 0), Glimpse(24 * HOUR_US, 1, 1, 0)]
    first = await windows.contents(Window("delay", 0))
    assert Answer("id-k", "a", Role.CHAMPION, 0.4) in first.answers


async def test_a_model_that_is_not_the_projects_is_joined_but_not_compared() -> None:
    world = World()
    await world.process().take(prediction("k", model="other"), outcome("k", 1.0))
    assert set(world.resolved) == {"id-k:a:0"}
    assert await LedgerWindowLog(world.ledger, KEEPING).glimpse("other") == []


async def test_a_repeated_request_keeps_its_first_answer() -> None:
    world = World()
    process = world.process()
    await process.take(prediction("k", score=0.4))
    await process.take(prediction("k", score=0.9), outcome("k", 1.0))
    assert world.resolved["id-k:a:0"].score == 0.4
    assert (
        world.registry.get_sample_value("tidemark_comparator_repeated_answers_total", {"model": "delay"}) == 1
    )


async def test_an_outcome_that_contradicts_what_was_told_is_refused_by_name() -> None:
    world = World()
    process = world.process()
    assert await process.take(prediction("k"), outcome("k", 1.0)) == []
    assert await process.take(outcome("k", 1.0)) == []
    (rejection,) = await process.take(outcome("k", 0.0))
    assert rejection.reason == "CONTRADICTED_OUTCOME"
    assert "revision 0 of late for 'k'" in rejection.detail
    assert world.resolved["id-k:a:0"].outcome == 1.0


async def test_what_cannot_be_read_is_refused_and_the_rest_goes_on() -> None:
    world = World()
    torn = prediction("torn")
    torn = replace(torn, event=replace(torn.event, data=b"\xff"))
    rejections = await world.process().take(prediction("k"), torn, outcome("k", 1.0))
    assert [(rejection.received, rejection.reason) for rejection in rejections] == [
        (torn, "MALFORMED_PAYLOAD")
    ]
    assert set(world.resolved) == {"id-k:a:0"}


async def test_an_outcome_nobody_waits_for_is_counted() -> None:
    world = World()
    await world.process().take(outcome("k", 1.0), outcome("l", 1.0), prediction("l"))
    name = "tidemark_comparator_unmatched_outcomes_total"
    assert world.registry.get_sample_value(name, {"label": "late"}) == 1


async def test_an_answer_that_expired_meets_nothing_and_the_outcome_is_counted() -> None:
    now_ms = 0
    world = World(ledger=MemoryLedger(lambda: now_ms))
    process = world.process()
    await process.take(prediction("k"))
    now_ms = KEEPING.answers_ms
    await process.take(outcome("k", 1.0))
    assert world.resolved == {}
    name = "tidemark_comparator_unmatched_outcomes_total"
    assert world.registry.get_sample_value(name, {"label": "late"}) == 1


async def test_the_trace_of_a_request_goes_on_in_what_resolves_it() -> None:
    world = World()
    asked = prediction("k")
    traced = replace(asked, event=replace(asked.event, traceparent="00-abc-def-01"))
    await world.process().take(traced)
    await world.process().take(outcome("k", 1.0))
    assert [event.traceparent for event in world.log.events(TOPICS.resolved)] == ["00-abc-def-01"]


async def test_a_process_resumes_where_the_group_was() -> None:
    world = World()
    await world.process().take(
        replace(prediction("k"), partition=2, offset=41), replace(outcome("k", 1.0), offset=7)
    )
    newcomer = world.process()
    partitions = [
        TopicPartition(TOPICS.predictions, 2),
        TopicPartition(TOPICS.predictions, 0),
        TopicPartition(TOPICS.outcomes, 0),
    ]
    assert await newcomer.joining.resume_from(partitions) == dict(zip(partitions, (42, 0, 8), strict=True))
    assert newcomer.joining.reached[partitions[0]] == Watermark(42, 0, HOUR_US)


async def test_marks_count_what_was_refused_too() -> None:
    world = World()
    torn = prediction("torn")
    await world.process().take(replace(torn, offset=9, event=replace(torn.event, data=b"\xff")))
    marks, _ = await LedgerMarks(world.ledger, KEEPING).read()
    assert marks[TopicPartition(TOPICS.predictions, 0)].next_offset == 10


async def test_a_clock_that_is_years_ahead_does_not_move_the_watermark_with_it() -> None:
    world = World()
    fact = prediction("k")
    ahead = replace(fact, event=replace(fact.event, time_us=fact.event.recorded_time_us + 10**15))
    await world.process().take(ahead)
    marks, _ = await LedgerMarks(world.ledger, KEEPING).read()
    (mark,) = marks.values()
    assert mark.event_us == fact.event.recorded_time_us + 300_000_000


async def test_nothing_is_marked_when_the_bus_is_away() -> None:
    class Away(MemoryLog):
        def append(self, topic: str, record: OutgoingRecord) -> Position:
            raise Unavailable(f"no broker for {topic} of {record.key!r}")

    world = World(log=Away())
    with pytest.raises(Unavailable):
        await world.process().take(prediction("k"), outcome("k", 1.0))
    assert (await LedgerMarks(world.ledger, KEEPING).read())[0] == {}
