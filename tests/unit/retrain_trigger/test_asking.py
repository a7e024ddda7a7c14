"""When a retraining is asked for, and what becomes of the request."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from monitoring.policies import NewLabels, PerformanceDecay, Schedule
from retrain_trigger.testing.facts import TOPICS, day
from tidemark.monitoring.v1.alert_pb2 import AlertState
from tidemark.monitoring.v1.monitor_pb2 import Assessment
from tidemark.retraining.v1.retrain_pb2 import RetrainRefusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bus.events import Event
    from monitoring.policies import PersistentDrift
    from retrain_trigger.testing.facts import Said
    from retrain_trigger.testing.world import World

    MakeWorld = Callable[..., Awaitable[World]]
    MakeDrift = Callable[..., PersistentDrift]

DAY = timedelta(days=1)
OK, INSUFFICIENT = Assessment.ASSESSMENT_OK, Assessment.ASSESSMENT_INSUFFICIENT
REQUEST = "late:persistent-drift:1970-01-22T00:00:00Z"


def drifted(said: Said, *days: int) -> list[Event]:
    return [said.measured("input-drift", number, breached=True) for number in days]


def asked(world: World) -> list[Any]:
    return world.said(TOPICS.requested)


def refused(world: World) -> list[Any]:
    return world.said(TOPICS.refused)


def alerts(world: World) -> list[tuple[str, int, int, str]]:
    return [
        (one.fingerprint, one.episode, one.revision, AlertState.Name(one.state).removeprefix("ALERT_STATE_"))
        for one in world.said(TOPICS.alerts)
    ]


async def test_drift_that_lasts_asks_once_with_the_numbers(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift(train_window=14 * DAY))
    await world.tell(*drifted(said, 14))
    assert asked(world) == []
    await world.tell(*drifted(said, 21, 28))
    (request,) = asked(world)
    assert (request.request_id, request.policy, request.champion) == (REQUEST, "persistent-drift", "first")
    assert request.algorithm == "trees"
    assert (request.train_from, request.train_until) == (day(7), day(21))
    assert (request.requested_at, request.expires_at) == (day(21), day(28))
    assert request.new_labels == 1_000
    assert "2 windows in a row up to 1970-01-22" in request.reason
    assert [(one.subject, one.statistic, one.now) for one in request.evidence] == [("hour", "psi", 0.3)]


@pytest.mark.parametrize(("assessment", "requests"), [(OK, 0), (INSUFFICIENT, 1)])
async def test_only_a_window_that_was_judged_and_is_no_breach_interrupts_a_row(
    world_of: MakeWorld,
    drift: MakeDrift,
    said: Said,
    assessment: Assessment.ValueType,
    requests: int,
) -> None:
    world = await world_of(drift())
    between = said.measured("input-drift", 21, assessment=assessment, clear=False)
    await world.tell(*drifted(said, 14), between, *drifted(said, 28))
    assert len(asked(world)) == requests


async def test_windows_of_another_version_do_not_speak_against_the_champion(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    older = [said.measured("input-drift", number, breached=True, version="zeroth") for number in (14, 21)]
    await world.tell(*older, *drifted(said, 28))
    assert asked(world) == []
    await world.tell(*drifted(said, 35))
    assert len(asked(world)) == 1


async def test_a_route_counts_by_its_event_time_whichever_is_read_first(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    later = said.routed("second", 2, on_day=21)
    await world.tell(*drifted(said, 14), later, *drifted(said, 21))
    assert asked(world)[0].champion == "first"


@pytest.mark.parametrize(("first", "second"), [(20_000, 20_000), (20_000, 13), (1, 20_000)])
async def test_a_route_dated_by_the_clock_before_any_event_time_was_known_is_in_force(
    world_of: MakeWorld, drift: MakeDrift, said: Said, first: int, second: int
) -> None:
    world = await world_of(drift())
    world.states.rows.clear()
    await world.tell(said.registered("first", 0), said.routed("other", 1, on_day=first))
    await world.tell(said.routed("first", 2, on_day=second), said.labels(7), *drifted(said, 14, 21))
    assert [request.champion for request in asked(world)] == ["first"]


async def test_a_first_route_that_is_dated_somewhat_ahead_is_the_champions_too(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    world.states.rows.clear()
    await world.tell(said.registered("first", 0), said.routed("first", 1, on_day=40), said.labels(7))
    await world.tell(*drifted(said, 14, 21))
    assert len(asked(world)) == 1


async def test_windows_heard_again_later_are_no_news(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    count = NewLabels("new-labels", model="late", count=1_000, cooldown=0 * DAY)
    world = await world_of(count, drift(windows=1, cooldown=0 * DAY))
    facts = [said.labels(14), *drifted(said, 14)]
    await world.tell(*facts, said.decided("late:new-labels:1970-01-15T00:00:00Z", "a1", approved=False))
    await world.tell(*drifted(said, 21), said.decided("late:persistent-drift:1970-01-22T00:00:00Z", "a2"))
    assert len(asked(world)) == 2
    await world.tell(said.measured("input-quality", 30), *facts, *drifted(said, 21))
    assert len(asked(world)) == 2


async def test_provisional_amended_and_repeated_measurements_do_not_count_as_windows(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    repeated = drifted(said, 14) * 3
    provisional = said.measured("input-drift", 21, breached=True, provisional=True)
    amended = said.measured("input-drift", 21, breached=True, amends=True, revision=1)
    await world.tell(*repeated, provisional, amended)
    assert asked(world) == []


async def test_without_enough_new_labels_drift_is_no_reason(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift(least_new_labels=1_500))
    await world.tell(*drifted(said, 14, 21))
    assert asked(world) == []
    await world.tell(said.labels(21, rows=1_000, coverage=0.5), *drifted(said, 28))
    assert refused(world)[0].refusal == RetrainRefusal.RETRAIN_REFUSAL_LABELS_IMMATURE
    # The newest revision of a window counts, and nothing is counted twice.
    await world.tell(said.labels(21, rows=1_000, coverage=0.95, revision=1, amends=True), *drifted(said, 35))
    assert [request.new_labels for request in asked(world)] == [1_950]
    assert asked(world)[0].evidence[-1].statistic == "new_labels"


async def test_only_labels_that_the_champion_has_not_learned_from_are_new(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    await world.tell(
        said.labels(14), said.labels(21), said.registered("second", 10), said.routed("second", 2, on_day=22)
    )
    breaches = [said.measured("input-drift", number, breached=True, version="second") for number in (28, 35)]
    await world.tell(*breaches)
    assert [request.new_labels for request in asked(world)] == [1_000]


async def test_labels_of_a_window_count_by_its_newest_revision_and_not_before_it_is_final(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    corrected, earlier = said.labels(14, rows=900, revision=2), said.labels(14, rows=100, revision=1)
    await world.tell(corrected, earlier, said.labels(21, provisional=True), *drifted(said, 14, 21))
    assert [request.new_labels for request in asked(world)] == [1_900]


async def test_a_count_of_new_labels_asks(world_of: MakeWorld, said: Said) -> None:
    world = await world_of(NewLabels("new-labels", model="late", count=2_500))
    await world.tell(said.labels(14), said.labels(21, provisional=True))
    assert asked(world) == []
    await world.tell(said.labels(21, revision=1))
    assert [request.new_labels for request in asked(world)] == [3_000]


async def test_decay_asks(world_of: MakeWorld, said: Said) -> None:
    world = await world_of(PerformanceDecay("decay", model="late", monitor="quality", windows=2))
    await world.tell(*(said.labels(number, breached=True) for number in (14, 21)))
    assert [request.policy for request in asked(world)] == ["decay"]


async def test_windows_that_come_late_speak_once_for_an_event_time(world_of: MakeWorld, said: Said) -> None:
    decay = PerformanceDecay("decay", model="late", monitor="quality", windows=1, cooldown=0 * DAY)
    world = await world_of(decay)
    late = [said.labels(number, breached=True) for number in (14, 21)]
    request_id = "late:decay:1970-02-01T00:00:00Z"
    await world.tell(said.measured("input-quality", 31), late[0])
    await world.tell(said.decided(request_id, "a1", approved=False), late[1])
    assert [request.request_id for request in asked(world)] == [request_id]
    await world.tell(said.labels(35, breached=True))
    assert len(asked(world)) == 2


async def test_an_approval_is_passed_on_and_a_rest_begins(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    await world.tell(*drifted(said, 14, 21), said.decided(REQUEST, "a1", on_day=22))
    (approved,) = world.said(TOPICS.approved)
    assert (approved.request_id, approved.approved_by, approved.comment) == (REQUEST, "ada", "looked at it")
    assert (approved.train_until, approved.approved_at, approved.policy) == (
        day(21),
        day(22),
        "persistent-drift",
    )
    assert approved.algorithm == "trees"
    assert not approved.HasField("train_from")
    await world.tell(*drifted(said, 28, 35, 42))
    assert len(asked(world)) == 1
    await world.tell(*drifted(said, 49))
    assert len(asked(world)) == 2


async def test_a_version_that_answers_a_request_begins_a_rest_and_one_by_hand_does_not(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    await world.tell(*drifted(said, 14), said.registered("by-hand", 14))
    await world.tell(said.registered("answer", 14, request_id="late:other:1"), *drifted(said, 21, 28, 35))
    assert asked(world) == []
    await world.tell(*drifted(said, 42))
    assert len(asked(world)) == 1


async def test_a_rejection_is_told_and_is_the_end_of_it(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    await world.tell(*drifted(said, 14, 21), said.decided(REQUEST, "a1", approved=False))
    (told,) = refused(world)
    assert (told.request_id, told.refusal) == (REQUEST, RetrainRefusal.RETRAIN_REFUSAL_REJECTED)
    assert told.reason == "ada said no: looked at it"
    assert world.said(TOPICS.approved) == []


async def test_what_nobody_decides_expires_with_an_alert_until_the_next_is_asked(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    await world.tell(*drifted(said, 14, 21, 28))
    assert refused(world) == []
    await world.tell(said.measured("input-quality", 29))
    (told,) = refused(world)
    assert (told.request_id, told.refusal) == (REQUEST, RetrainRefusal.RETRAIN_REFUSAL_EXPIRED)
    (alert,) = world.said(TOPICS.alerts)
    assert alert.runbook == "docs/runbooks/retrain-expired.md"
    assert (alert.owner, alert.version) == ("team-late", "first")
    await world.tell(*drifted(said, 35, 42, 49, 56, 63))
    assert len(asked(world)) == 2
    assert alerts(world) == [
        ("late:retrain-expired", 1, 0, "FIRING"),
        ("late:retrain-expired", 1, 1, "RESOLVED"),
    ]


async def test_broken_data_vetoes_before_anybody_is_asked(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    broken = said.measured("input-quality", 14, breached=True)
    await world.tell(broken, *drifted(said, 14, 21))
    (told,) = refused(world)
    assert (told.request_id, told.refusal) == ("", RetrainRefusal.RETRAIN_REFUSAL_VETOED)
    assert "input-quality found broken data up to 1970-01-15" in told.reason
    (alert,) = world.said(TOPICS.alerts)
    assert (alert.monitor, alert.runbook) == ("input-quality", "docs/runbooks/retrain-vetoed.md")
    # Seven days and a week later: asked again by itself, and the alert is over.
    await world.tell(*drifted(said, 28))
    assert len(asked(world)) == 1
    assert alerts(world) == [
        ("late:retrain-vetoed", 1, 0, "FIRING"),
        ("late:retrain-vetoed", 1, 1, "RESOLVED"),
    ]


async def test_sound_data_ends_the_alert_but_not_the_veto(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    await world.tell(said.measured("input-quality", 20, breached=True), *drifted(said, 14, 21))
    await world.tell(said.measured("input-quality", 22, clear=False), said.measured("input-quality", 23))
    assert world.said(TOPICS.alerts)[-1].resolved_at == day(23)
    await world.tell(*drifted(said, 27))
    assert asked(world) == []
    assert alerts(world) == [
        ("late:retrain-vetoed", 1, 0, "FIRING"),
        ("late:retrain-vetoed", 1, 1, "RESOLVED"),
        ("late:retrain-vetoed", 2, 0, "FIRING"),
    ]


async def test_the_alert_goes_on_while_another_monitor_finds_the_data_broken(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    broken = [said.measured(name, 20, breached=True) for name in ("input-quality", "other-quality")]
    await world.tell(*broken, *drifted(said, 14, 21), said.measured("input-quality", 22))
    assert alerts(world) == [("late:retrain-vetoed", 1, 0, "FIRING")]
    await world.tell(said.measured("other-quality", 22))
    assert alerts(world)[1:] == [("late:retrain-vetoed", 1, 1, "RESOLVED")]


async def test_an_approval_is_vetoed_when_the_data_broke_meanwhile(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    await world.tell(*drifted(said, 14, 21), said.measured("input-quality", 22, breached=True))
    await world.tell(said.decided(REQUEST, "a1"))
    (told,) = refused(world)
    assert (told.request_id, told.refusal) == (REQUEST, RetrainRefusal.RETRAIN_REFUSAL_VETOED)
    assert world.said(TOPICS.approved) == []
    # Nobody said no: once the data is sound it is asked again, without a rest.
    await world.tell(*drifted(said, 28, 35))
    assert len(asked(world)) == 2


async def test_immature_labels_refuse(world_of: MakeWorld, drift: MakeDrift, said: Said) -> None:
    world = await world_of(drift())
    await world.tell(*drifted(said, 14), said.labels(14, coverage=0.6), *drifted(said, 21))
    (told,) = refused(world)
    assert told.refusal == RetrainRefusal.RETRAIN_REFUSAL_LABELS_IMMATURE
    assert told.reason == "labels of 60.0% of the 1,000 requests up to 1970-01-15 are known, 90% must be"


async def test_labels_that_nobody_has_seen_mature_refuse_as_well(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    world.states.rows.clear()
    await world.tell(said.registered("first", 0), said.routed("first", 1), *drifted(said, 14, 21))
    assert [told.refusal for told in refused(world)] == [RetrainRefusal.RETRAIN_REFUSAL_LABELS_IMMATURE]


async def test_what_policies_ask_at_once_is_asked_once(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    schedule = Schedule("weekly", model="late", cron="0 0 * * 4")
    world = await world_of(drift(), schedule)
    await world.tell(*drifted(said, 14, 21))
    assert len(asked(world)) == 1


async def test_a_model_without_policies_or_champion_is_left_alone(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift())
    world.states.rows.clear()
    await world.tell(*drifted(said, 14, 21))
    assert asked(world) == refused(world) == []
    await world.tell(*drifted(type(said)("another"), 14, 21))
    assert set(world.states.rows) == {"late"}
