"""The life of an alert: stories by hand, then a state machine against a plain retelling."""

from __future__ import annotations

from dataclasses import asdict
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from monitoring.alerts import Alert, AlertState, Reading, Rules, observe

WEEK_US = 604_800_000_000


def reading(week: int, said: str, rows: int = 100) -> Reading:
    """A week's reading: B breached, C clear, - neither, ? inconclusive."""
    return Reading(
        window_start_us=(week - 1) * WEEK_US,
        window_end_us=week * WEEK_US,
        breached=said == "B",
        clear=said == "C",
        conclusive=said != "?",
        rows=rows,
    )


def live(weeks: str, rules: Rules, alert: Alert | None = None) -> Alert | None:
    return reduce(
        lambda now, week: observe(now, reading(*week), rules), list(enumerate(weeks, start=1)), alert
    )


@pytest.mark.parametrize(
    ("weeks", "rules", "state"),
    [
        ("B", Rules(), AlertState.FIRING),
        ("B", Rules(fire_after=2), AlertState.PENDING),
        ("BB", Rules(fire_after=2), AlertState.FIRING),
        ("B?B", Rules(fire_after=2), AlertState.FIRING),
        ("B-B", Rules(fire_after=2), AlertState.PENDING),
        ("BC", Rules(fire_after=2), AlertState.RESOLVED),
        ("B-", Rules(fire_after=2), AlertState.RESOLVED),
        ("B-", Rules(), AlertState.FIRING),
        ("B-C", Rules(), AlertState.RESOLVED),
        ("BC", Rules(clear_after=2), AlertState.FIRING),
        ("BC-C", Rules(clear_after=2), AlertState.FIRING),
        ("BCBC", Rules(clear_after=2), AlertState.FIRING),
        ("BC?C", Rules(clear_after=2), AlertState.RESOLVED),
        ("BCB", Rules(), AlertState.FIRING),
    ],
)
def test_where_weeks_lead(weeks: str, rules: Rules, state: AlertState) -> None:
    alert = live(weeks, rules)
    assert alert is not None
    assert alert.state is state


@pytest.mark.parametrize("weeks", ["", "C", "---C", "????"])
def test_where_nothing_is_breached_there_is_no_alert(weeks: str) -> None:
    assert live(weeks, Rules()) is None


def test_an_episode_tells_its_times_and_how_many_it_touched() -> None:
    alert = live("CBB-BCC", Rules(fire_after=2, clear_after=2))
    assert alert == Alert(
        state=AlertState.RESOLVED,
        episode=1,
        revision=5,
        pending_since_us=2 * WEEK_US,
        firing_since_us=3 * WEEK_US,
        clearing_since_us=6 * WEEK_US,
        resolved_at_us=7 * WEEK_US,
        changed_at_us=7 * WEEK_US,
        requests_affected=300,
        breached_windows=0,
        clear_windows=2,
    )
    assert alert.fired


def test_a_breach_that_did_not_last_goes_back_quietly() -> None:
    alert = live("BC", Rules(fire_after=2))
    assert alert is not None
    assert (alert.state, alert.fired, alert.resolved_at_us) == (AlertState.RESOLVED, False, 2 * WEEK_US)


def test_the_next_episode_begins_anew() -> None:
    alert = live("BCCB", Rules())
    assert alert is not None
    assert (alert.episode, alert.revision, alert.requests_affected) == (2, 0, 100)
    assert (alert.pending_since_us, alert.clearing_since_us, alert.resolved_at_us) == (
        4 * WEEK_US,
        None,
        None,
    )


def test_a_reading_that_changes_nothing_leaves_the_very_object() -> None:
    alert = live("BB", Rules())
    assert observe(alert, reading(3, "?"), Rules()) is alert
    assert observe(alert, reading(2, "C"), Rules()) is alert
    resolved = live("BC", Rules())
    assert observe(resolved, reading(3, "C"), Rules()) is resolved


def test_a_reading_is_not_two_things_at_once() -> None:
    with pytest.raises(ValueError, match="breached and clear"):
        Reading(0, 1, breached=True, clear=True, conclusive=True, rows=1)
    with pytest.raises(ValueError, match="ends after it starts"):
        Reading(1, 1, breached=True, clear=False, conclusive=True, rows=1)


@pytest.mark.parametrize("rules", [{"fire_after": 0}, {"clear_after": 0}])
def test_rules_need_a_window(rules: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Rules(**rules)


RULES = st.builds(Rules, st.integers(1, 3), st.integers(1, 3))
WEEKS = st.text(alphabet="BC-?", max_size=25)


@given(WEEKS, RULES, st.data())
def test_reading_any_stretch_again_ends_in_the_same_state(
    weeks: str, rules: Rules, data: st.DataObject
) -> None:
    """As after a crash: what was read since the last commit is read again, from the state that was told."""
    alert = live(weeks, rules)
    since = data.draw(st.integers(0, len(weeks)))
    for week, said in list(enumerate(weeks, start=1))[since:]:
        alert = observe(alert, reading(week, said), rules)
    assert alert == live(weeks, rules)


@given(WEEKS, RULES, st.data())
def test_each_reading_may_come_several_times(weeks: str, rules: Rules, data: st.DataObject) -> None:
    alert: Alert | None = None
    for week, said in enumerate(weeks, start=1):
        for _ in range(data.draw(st.integers(1, 3))):
            alert = observe(alert, reading(week, said), rules)
    assert alert == live(weeks, rules)


@given(WEEKS, RULES)
def test_a_newcomer_goes_on_from_what_was_told(weeks: str, rules: Rules) -> None:
    alert: Alert | None = None
    for week, said in enumerate(weeks, start=1):
        told = None if alert is None else Alert(**asdict(alert))
        alert = observe(told, reading(week, said), rules)
    assert alert == live(weeks, rules)


class AlertLife(RuleBasedStateMachine):
    """Weeks come, also again and out of order; what is told is held against what was seen."""

    @initialize(rules=RULES)
    def begin(self, rules: Rules) -> None:
        self.rules = rules
        self.alert: Alert | None = None
        self.weeks: list[str] = []
        self.fired: list[int] = []
        self.told: list[Alert] = []

    @rule(said=st.sampled_from("BC-?"))
    def next_week(self, said: str) -> None:
        self.weeks.append(said)
        self._read(len(self.weeks), said)

    @precondition(lambda self: self.weeks)
    @rule(data=st.data())
    def old_week(self, data: st.DataObject) -> None:
        week = data.draw(st.integers(1, len(self.weeks)))
        self._read(week, self.weeks[week - 1])

    def _read(self, week: int, said: str) -> None:
        before, self.alert = self.alert, observe(self.alert, reading(week, said), self.rules)
        after = self.alert
        if after is None or after is before:
            return
        self.told.append(after)
        if after.state is AlertState.FIRING and (before is None or before.state is not AlertState.FIRING):
            self.fired.append(after.episode)
        if after.state is AlertState.RESOLVED:
            assert before is not None
            assert before.state in {AlertState.PENDING, AlertState.FIRING}
            assert before.episode == after.episode

    @invariant()
    def no_episode_fires_twice(self) -> None:
        assert len(set(self.fired)) == len(self.fired)

    @invariant()
    def a_higher_position_supersedes(self) -> None:
        positions = [(alert.episode, alert.revision) for alert in self.told]
        assert positions == sorted(set(positions))
        assert all(
            earlier.changed_at_us < later.changed_at_us
            for earlier, later in zip(self.told, self.told[1:], strict=False)
        )

    @invariant()
    def the_state_is_that_of_the_weeks_read_once_in_order(self) -> None:
        assert self.alert == live("".join(self.weeks), self.rules)

    @invariant()
    def it_fires_exactly_when_the_weeks_say_so(self) -> None:
        """Retold without states: walk the conclusive weeks, remembering only what the rules count."""
        firing, breaches, clears = False, 0, 0
        for said in (said for said in self.weeks if said != "?"):
            breaches = breaches + 1 if said == "B" else 0
            clears = clears + 1 if said == "C" else 0
            if firing and clears >= self.rules.clear_after:
                firing = False
            elif breaches >= self.rules.fire_after:
                firing = True
        assert firing == (self.alert is not None and self.alert.state is AlertState.FIRING)


TestAlertLife = AlertLife.TestCase
