from dataclasses import replace

import pytest
from control_plane.domain import rollouts
from control_plane.domain.comparisons import Comparison, Verdict
from control_plane.domain.errors import RolloutEnded
from control_plane.domain.rollouts import Plan, Rollout, RolloutState, arrangement, begin, observe
from control_plane.testing import version

OLD, NEW, OTHER = version("old"), version("new"), version("other")
KNOWN = {known.version: known for known in (OLD, NEW, OTHER)}
DAY_US = 86_400_000_000
PLAN = Plan(shadow_windows=2, canary_basis_points=(100, 5000), step_windows=1, guard_windows=2)


def start(plan: Plan = PLAN, *, at_us: int = 0) -> Rollout:
    return begin(
        "late-r1",
        candidate=NEW,
        champion=OLD,
        shadows=("other",),
        plan=plan,
        by="ada",
        reason="",
        at_us=at_us,
        event_time_us=at_us,
    )


def compared(
    day: int,
    verdict: Verdict = Verdict.BETTER,
    *,
    champion: str = "old",
    challenger: str = "new",
    revision: int = 1,
    provisional: bool = False,
    told_days_later: int = 3,
) -> Comparison:
    """What is said of the window that begins with a day; it is told when it has matured."""
    return Comparison(
        model="late",
        champion=champion,
        challenger=challenger,
        window_start_us=day * DAY_US,
        window_end_us=(day + 1) * DAY_US,
        revision=revision,
        provisional=provisional,
        verdict=verdict,
        reason=f"day {day}.",
        watermark_us=(day + told_days_later) * DAY_US,
    )


def turned(day: int, verdict: Verdict) -> Comparison:
    """The same once the candidate is champion."""
    return compared(day, verdict, champion="new", challenger="old")


def after(rollout: Rollout, *seen: Comparison) -> Rollout:
    for one in seen:
        rollout = observe(rollout, one)
    return rollout


def in_canary() -> Rollout:
    """In the canary's first step since day 4."""
    return after(start(), compared(0), compared(1))


def in_guard() -> Rollout:
    """Champion since day 10."""
    return after(in_canary(), compared(4), compared(7))


def test_a_candidate_begins_in_the_shadow() -> None:
    rollout = start()
    assert (rollout.state, rollout.weight_basis_points, rollout.last.revision) == (RolloutState.SHADOW, 0, 1)
    wanted = arrangement(rollout, KNOWN)
    assert (wanted.champion, wanted.shadows, wanted.canary) == (OLD, (OTHER, NEW), None)


def test_the_shadow_can_be_skipped() -> None:
    rollout = start(replace(PLAN, skip_shadow=True))
    assert (rollout.state, rollout.weight_basis_points) == (RolloutState.CANARY, 100)


def test_it_advances_after_enough_windows() -> None:
    one = after(start(), compared(0))
    assert one.state is RolloutState.SHADOW
    two = after(one, compared(1))
    assert (two.state, two.weight_basis_points, two.step_began_us) == (RolloutState.CANARY, 100, 4 * DAY_US)
    assert two.last.reason == "better after 2 matured windows: day 1."
    assert two.last.by == rollouts.CONTROLLER


def test_in_a_canary_each_scores_what_the_other_answered() -> None:
    wanted = arrangement(in_canary(), KNOWN)
    assert wanted.champion is OLD
    assert wanted.shadows == (OTHER, OLD, NEW)
    assert wanted.canary is not None
    assert (wanted.canary.version, wanted.canary.weight_basis_points) == (NEW, 100)
    assert wanted.salt == "late-r1"


def test_a_step_asks_for_windows_that_began_in_it() -> None:
    rollout = in_canary()
    assert after(rollout, compared(2), compared(3)).weight_basis_points == 100
    assert after(rollout, compared(2), compared(4)).weight_basis_points == 5000


def test_equivalent_is_good_enough() -> None:
    assert after(in_canary(), compared(4, Verdict.EQUIVALENT)).weight_basis_points == 5000


@pytest.mark.parametrize("verdict", [Verdict.INSUFFICIENT, Verdict.UNSPECIFIED])
def test_what_says_nothing_waits_however_long(verdict: Verdict) -> None:
    rollout = after(in_canary(), *(compared(day, verdict) for day in range(4, 40)))
    assert rollout.weight_basis_points == 100
    assert after(rollout, compared(40)).weight_basis_points == 5000


@pytest.mark.parametrize("rollout", [start(), in_canary()])
def test_worse_ends_it_at_once(rollout: Rollout) -> None:
    ended = after(rollout, compared(8, Verdict.WORSE))
    assert (ended.state, ended.weight_basis_points) == (RolloutState.ABORTED, 0)
    assert ended.last.reason == "new did worse than old: day 8."
    wanted = arrangement(ended, KNOWN)
    assert (wanted.champion, wanted.shadows, wanted.canary) == (OLD, (OTHER,), None)


def test_worse_of_an_earlier_step_ends_it_too() -> None:
    assert after(in_guard(), compared(5, Verdict.WORSE)).state is RolloutState.ABORTED


def test_what_began_before_the_rollout_does_not_concern_it() -> None:
    rollout = start(at_us=10 * DAY_US)
    assert after(rollout, compared(9, Verdict.WORSE)) is rollout
    assert after(rollout, compared(10, Verdict.WORSE)).state is RolloutState.ABORTED


@pytest.mark.parametrize(
    "seen",
    [
        compared(0, Verdict.WORSE, provisional=True),
        compared(0, Verdict.WORSE, challenger="other"),
        compared(0, Verdict.WORSE, champion="other"),
    ],
)
def test_what_has_not_matured_or_is_about_others_changes_nothing(seen: Comparison) -> None:
    rollout = start()
    assert observe(rollout, seen) is rollout


def test_a_window_counts_once_and_by_its_newest_revision() -> None:
    first = after(start(), compared(0, revision=1))
    assert observe(first, compared(0, revision=1)) is first
    again = after(first, compared(0, revision=2))
    assert (again.state, len(again.judged)) == (RolloutState.SHADOW, 1)
    assert observe(again, compared(0, Verdict.WORSE, revision=1)) is again
    assert after(again, compared(0, Verdict.WORSE, revision=3)).state is RolloutState.ABORTED


def test_the_last_step_makes_it_champion_and_the_one_before_its_shadow() -> None:
    rollout = in_guard()
    assert (rollout.state, rollout.weight_basis_points) == (RolloutState.GUARD, 10_000)
    wanted = arrangement(rollout, KNOWN)
    assert (wanted.champion, wanted.shadows, wanted.canary) == (NEW, (OTHER, OLD), None)


def test_the_guard_turns_back_when_the_comparison_turns() -> None:
    ended = after(in_guard(), turned(10, Verdict.EQUIVALENT), turned(11, Verdict.BETTER))
    assert ended.state is RolloutState.ABORTED
    assert arrangement(ended, KNOWN).champion is OLD


def test_the_guard_ends_when_nothing_turned() -> None:
    rollout = after(in_guard(), turned(10, Verdict.INSUFFICIENT))
    assert rollout.state is RolloutState.GUARD
    done = after(rollout, turned(11, Verdict.WORSE))
    assert (done.state, done.weight_basis_points, done.ended) == (RolloutState.COMPLETED, 10_000, True)


def test_an_ended_rollout_is_moved_by_nothing() -> None:
    ended = after(start(), compared(0, Verdict.WORSE))
    assert observe(ended, compared(1)) is ended
    with pytest.raises(RolloutEnded, match="ABORTED, because new did worse"):
        rollouts.abort(ended, by="ada", reason="late", at_us=1)


def test_read_again_from_the_beginning_it_makes_the_same_moves() -> None:
    told = [compared(0), compared(1), compared(4), compared(7), turned(10, Verdict.EQUIVALENT)]
    once = after(start(), *told)
    twice = after(start(), *[seen for seen in told for _ in range(2)], *told)
    assert once == twice


def test_what_no_outcome_judges_waits_unless_somebody_said_to_go_on() -> None:
    undefined = [compared(day, Verdict.UNDEFINED) for day in range(2)]
    assert after(start(), *undefined).state is RolloutState.SHADOW
    unjudged = after(start(replace(PLAN, unjudged=True)), *undefined)
    assert unjudged.state is RolloutState.CANARY
    insufficient = [compared(day, Verdict.INSUFFICIENT) for day in range(2)]
    assert after(start(replace(PLAN, unjudged=True)), *insufficient).state is RolloutState.SHADOW
