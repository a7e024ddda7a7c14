from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bus.positions import TopicPartition
from shadow_comparator.adapters.logs import LedgerWindowLog
from shadow_comparator.domain.verdicts import VerdictPolicy
from shadow_comparator.testing import HOUR_US, KEEPING, POLICIES, TOPICS, World, outcome, prediction
from tidemark.monitoring.v1.variants_pb2 import VariantsCompared, Verdict

if TYPE_CHECKING:
    from bus.received import Received
    from shadow_comparator.testing import Process

_MINE = TopicPartition(TOPICS.predictions, 0)


async def _owner(world: World) -> Process:
    """A process that has every partition, all read to their end whatever it is given."""
    process = world.process()
    partitions = [TopicPartition(topic, 0) for topic in TOPICS.inputs]
    world.ends.update(dict.fromkeys(partitions, 0))
    await process.joining.resume_from(partitions)
    return process


def _asked(key: str, *, hours: float = 1.0, ours: float = 0.4, theirs: float = 0.6) -> list[Received]:
    return [prediction(key, hours=hours, score=ours), prediction(key, hours=hours, score=theirs, shadow=True)]


def _until(hours: float) -> Received:
    """Another request, which moves the watermark."""
    return prediction(f"until-{hours}", hours=hours)


def _days(world: World) -> list[tuple[int, int, bool]]:
    """Day, revision and whether provisional, of everything told."""
    return [(one.window_start.seconds // 86_400, one.revision, one.provisional) for one in world.compared]


async def test_a_window_is_compared_when_the_watermark_passes_its_end() -> None:
    world = World()
    owner = await _owner(world)
    await owner.take(*_asked("k"), _until(23.99))
    await owner.watching.look()
    assert world.compared == []
    await owner.take(_until(24))
    await owner.watching.look()
    assert _days(world) == [(0, 0, True)]


async def test_without_labels_the_figures_are_provisional_and_insufficient() -> None:
    world = World()
    owner = await _owner(world)
    await owner.take(*_asked("k"), *_asked("l", ours=0.9), _until(24))
    await owner.watching.look()
    (compared,) = world.compared
    assert (compared.champion.version, compared.challenger.version) == ("a", "b")
    assert (compared.requests, compared.paired, compared.label_coverage, compared.flips) == (2, 2, 0.0, 1)
    assert compared.agreement == 0.5
    assert not compared.champion.HasField("roc_auc")
    assert not compared.champion.HasField("log_loss")
    assert compared.provisional
    assert compared.verdict == Verdict.VERDICT_INSUFFICIENT
    assert compared.reason == "No labelled pair in a matured window yet."


async def test_labels_make_it_mature_and_supersede_the_first_figures() -> None:
    world = World()
    owner = await _owner(world)
    await owner.take(*_asked("k"), *_asked("l", ours=0.9, theirs=0.8), _until(24))
    await owner.watching.look()
    await owner.take(outcome("k", 0.0), outcome("l", 1.0))
    await owner.watching.look()
    assert _days(world) == [(0, 0, True), (0, 1, False)]
    newest = world.compared[-1]
    assert newest.label_coverage == 1.0
    assert newest.champion.roc_auc == newest.champion.accuracy == 1.0
    assert newest.challenger.accuracy == 0.5
    assert (newest.champion.labelled, newest.champion.positives) == (2, 1)


async def test_an_old_window_matures_whatever_its_coverage() -> None:
    world = World()
    owner = await _owner(world)
    await owner.take(*_asked("k"), *_asked("l"), outcome("k", 1.0), _until(24))
    await owner.watching.look()
    await owner.take(_until(71.9))
    await owner.watching.look()
    assert _days(world)[:1] == [(0, 0, True)]
    await owner.take(_until(72))
    await owner.watching.look()
    assert (0, 1, False) in _days(world)


async def test_an_event_says_when_it_was_true_and_when_it_was_known() -> None:
    world = World()
    owner = await _owner(world)
    await owner.take(*_asked("k"), _until(30))
    await owner.watching.look()
    (event,) = world.log.events(TOPICS.compared)
    message = VariantsCompared.FromString(event.data)
    assert event.id == "delay:a:b:1970-01-01T00:00:00Z:0"
    assert (event.key, event.time_us, event.recorded_time_us) == (b"delay", 24 * HOUR_US, 30 * HOUR_US)
    assert (message.window_start.seconds, message.window_end.seconds) == (0, 86_400)


async def test_what_did_not_change_is_not_told_again() -> None:
    world = World()
    owner = await _owner(world)
    await owner.take(*_asked("k"), outcome("k", 1.0), _until(24))
    for _ in range(3):
        await owner.watching.look()
        world.now_us += 60_000_000
    assert _days(world) == [(0, 0, False)]


async def test_a_few_late_labels_wait_for_a_step_or_for_quiet() -> None:
    world = World()
    owner = await _owner(world)
    for number in range(20):
        await owner.take(*_asked(f"{number}"))
    await owner.take(_until(24))
    await owner.watching.look()
    await owner.take(outcome("1", 1.0), outcome("2", 1.0))
    await owner.watching.look()
    assert _days(world) == [(0, 0, True)]
    world.now_us += 60_000_000
    await owner.watching.look()
    assert _days(world) == [(0, 0, True), (0, 1, True)]
    assert world.compared[-1].champion.labelled == 2


async def test_a_late_answer_revises_a_window_that_was_closed() -> None:
    world = World()
    owner = await _owner(world)
    await owner.take(*_asked("k"), _until(24))
    await owner.watching.look()
    await owner.take(*_asked("late"))
    await owner.watching.look()
    assert [(one.revision, one.paired) for one in world.compared] == [(0, 1), (1, 2)]


async def test_a_partition_that_lags_holds_windows_open() -> None:
    world = World()
    owner = await _owner(world)
    shadows = TopicPartition(TOPICS.shadows, 0)
    world.ends[shadows] = 10
    await owner.take(*_asked("k"), _until(24))
    await owner.watching.look()
    assert world.compared == []
    await owner.take(replace(prediction("x", hours=23, shadow=True), offset=9))
    await owner.watching.look()
    assert _days(world) == [(0, 0, True)]


async def test_what_other_processes_have_counts_too() -> None:
    world = World()
    owner, other = world.process(), world.process()
    theirs = TopicPartition(TOPICS.predictions, 1)
    shadows = TopicPartition(TOPICS.shadows, 0)
    world.ends.update({_MINE: 1, theirs: 5, shadows: 0})
    await owner.joining.resume_from([_MINE, shadows])
    await other.joining.resume_from([theirs])
    await owner.take(*_asked("k"), prediction("m", hours=30))
    await other.take(replace(prediction("l", hours=1), partition=1))
    await other.watching.look()
    await owner.watching.look()
    assert world.compared == []
    await other.take(replace(prediction("n", hours=25), partition=1, offset=3))
    await other.watching.look()
    await owner.watching.look()
    assert _days(world) == [(0, 0, True)]


async def test_only_the_owner_of_the_first_partition_compares() -> None:
    world = World()
    other = world.process()
    shadows, theirs = TopicPartition(TOPICS.shadows, 0), TopicPartition(TOPICS.predictions, 1)
    world.ends.update({_MINE: 0, theirs: 0, shadows: 0})
    await other.joining.resume_from([theirs, shadows])
    await other.take(
        *(replace(fact, partition=int(fact.topic == TOPICS.predictions)) for fact in _asked("k"))
    )
    await other.take(replace(_until(24), partition=1))
    await other.watching.look()
    assert world.compared == []
    assert world.registry.get_sample_value("tidemark_comparator_owner") == 0
    await other.joining.resume_from([theirs, shadows, _MINE])
    await other.watching.look()
    assert _days(world) == [(0, 0, True)]
    assert world.registry.get_sample_value("tidemark_comparator_owner") == 1


async def test_a_new_owner_goes_on_where_the_last_one_was() -> None:
    world = World()
    first = await _owner(world)
    await first.take(*_asked("k"), _until(24))
    await first.watching.look()
    second = await _owner(world)
    await second.watching.look()
    assert _days(world) == [(0, 0, True)]
    await second.take(outcome("k", 1.0))
    await second.watching.look()
    await first.watching.look()
    assert _days(world) == [(0, 0, True), (0, 1, False)]


async def test_two_owners_at_once_never_tell_two_things_under_one_id() -> None:
    world = World()
    first, second = await _owner(world), await _owner(world)
    await first.take(*_asked("k"), _until(24))
    await first.watching.look()
    await first.take(outcome("k", 1.0))
    await second.watching.look()
    await first.watching.look()
    assert _days(world) == [(0, 0, True), (0, 1, False)]
    assert len(world.log.events(TOPICS.compared)) == 2


async def test_the_verdict_rests_on_matured_windows_up_to_its_own() -> None:
    world = World(policies=replace(POLICIES, verdicts=VerdictPolicy(least_pairs=40, least_windows=4)))
    owner = await _owner(world)
    for day in range(8):
        for number in range(20):
            key, truth = f"{day}-{number}", float(number % 2)
            right, wrong = (0.8, 0.3) if truth else (0.2, 0.7)
            await owner.take(*_asked(key, hours=24 * day + 1, ours=wrong, theirs=right), outcome(key, truth))
    await owner.take(_until(24 * 8))
    await owner.watching.look()
    verdicts = [world.final["a", "b", day].verdict for day in range(8)]
    assert verdicts[:3] == [Verdict.VERDICT_INSUFFICIENT] * 3
    assert world.final["a", "b", 2].reason == "3 matured windows; a verdict takes 4."
    assert verdicts[-1] == Verdict.VERDICT_BETTER
    assert "160 pairs, 8 windows" in world.final["a", "b", 7].reason


async def test_a_window_that_matures_late_is_evidence_for_the_windows_after_it() -> None:
    world = World(policies=replace(POLICIES, verdicts=VerdictPolicy(least_pairs=2, least_windows=2)))
    owner = await _owner(world)
    for day in range(3):
        await owner.take(*_asked(f"{day}", hours=24 * day + 1, ours=0.01, theirs=0.99))
    await owner.take(outcome("1", 1.0), outcome("2", 1.0), _until(72))
    await owner.watching.look()
    assert "2 windows" in world.final["a", "b", 2].reason
    before = world.final["a", "b", 1]
    assert before.reason == "1 labelled pairs in matured windows; a verdict takes 2."
    await owner.take(outcome("0", 1.0))
    await owner.watching.look()
    assert world.final["a", "b", 1].verdict != before.verdict


async def test_a_window_that_is_over_is_no_longer_watched_until_something_comes() -> None:
    world = World()
    owner = await _owner(world)
    windows = LedgerWindowLog(world.ledger, KEEPING)
    await owner.take(*_asked("k"), outcome("k", 1.0), _until(24 * 60))
    await owner.watching.look()
    await owner.watching.look()
    assert [glimpse.start_us for glimpse in await windows.glimpse("delay")] == [24 * 60 * HOUR_US]
    await owner.take(outcome("k", 0.0, revision=1))
    await owner.watching.look()
    assert _days(world) == [(0, 0, False), (0, 1, False)]
    assert world.compared[-1].champion.positives == 0
