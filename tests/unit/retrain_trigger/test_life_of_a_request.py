"""Whatever is said in whatever order, a request's life keeps its promises."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from monitoring.monitors import MonitorKind
from monitoring.policies import NewLabels, PersistentDrift, Schedule
from retrain_trigger.adapters.codec import decode, encode
from retrain_trigger.domain.deciding import VoidDecision, apply
from retrain_trigger.domain.effects import AlarmChanged, Approved, Asked, Effect, Refused
from retrain_trigger.domain.facts import Decided, Fact, Measured, Registered, Routed
from retrain_trigger.domain.rules import Rules
from retrain_trigger.domain.state import ModelState, Refusal
from retrain_trigger.ports import Kept
from retrain_trigger.testing.facts import DAY_US

MODEL, DAY = "late", timedelta(days=1)
COOLDOWN_US, EXPIRES_US, VETO_US = 5 * DAY_US, 4 * DAY_US, 3 * DAY_US
_USUAL = {"model": MODEL, "cooldown": 5 * DAY, "expires_after": 4 * DAY, "veto_within": 3 * DAY}
RULES = Rules(
    (
        PersistentDrift("drift", monitor="drift", windows=2, least_label_coverage=0.5, **_USUAL),  # type: ignore[arg-type]
        NewLabels("labels", count=20, least_label_coverage=0.5, **_USUAL),  # type: ignore[arg-type]
        Schedule("weekly", cron="0 0 * * 1", least_label_coverage=0.5, **_USUAL),  # type: ignore[arg-type]
    ),
    tells_labels=True,
)
KINDS = {
    "drift": MonitorKind.FEATURE_DRIFT,
    "sound": MonitorKind.DATA_QUALITY,
    "labels": MonitorKind.PERFORMANCE,
}


class Life(RuleBasedStateMachine):
    """Facts in any order; beside the state, the plainest account of what was said and measured."""

    def __init__(self) -> None:
        super().__init__()
        self.state = ModelState()
        self.facts: list[Fact] = []
        self.effects: list[Effect] = []
        self.broken_us: list[int] = []
        self.newest_sound_us = 0
        self.ended_us: list[int] = []
        self.approvals = 0

    @initialize()
    def begin(self) -> None:
        self._tell(Registered(MODEL, "first", 0, "trees", "owner", ""))
        self._tell(Routed(MODEL, 1, "first", 0))

    @rule(
        monitor=st.sampled_from(sorted(KINDS)),
        days_on=st.integers(-2, 6),
        breached=st.sampled_from([True, True, False, None]),
        coverage=st.sampled_from([0.2, 0.9, 1.0]),
        provisional=st.booleans(),
    )
    def measure(
        self, *, monitor: str, days_on: int, breached: bool | None, coverage: float, provisional: bool
    ) -> None:
        end_us = max(DAY_US, self.state.now_us + days_on * DAY_US)
        measured = Measured(
            MODEL,
            monitor,
            KINDS[monitor],
            "first",
            end_us - DAY_US,
            end_us,
            0,
            provisional,
            amends=False,
            rows=10,
            label_coverage=coverage,
            breached=breached,
            clear=breached is False,
            figures=(),
            reason="",
        )
        if monitor == "sound" and measured.conclusive and end_us > self.newest_sound_us:
            self.newest_sound_us = end_us
            if breached:
                self.broken_us.append(end_us)
        self._tell(measured)

    @precondition(lambda self: self.state.request is not None)
    @rule(approved=st.booleans())
    def decide(self, *, approved: bool) -> None:
        assert self.state.request is not None
        self._tell(self._decision(self.state.request.request_id, approved=approved))

    @precondition(lambda self: any(isinstance(one, Asked) for one in self.effects))
    @rule(data=st.data(), approved=st.booleans())
    def decide_anything(self, *, data: st.DataObject, approved: bool) -> None:
        known = [one.request.request_id for one in self.effects if isinstance(one, Asked)]
        self._tell(self._decision(data.draw(st.sampled_from([*known, "late:nothing"])), approved=approved))

    @rule(version=st.sampled_from(["second", "third"]), answers=st.booleans())
    def register(self, *, version: str, answers: bool) -> None:
        until_us = max(0, self.state.now_us - DAY_US)
        self._tell(Registered(MODEL, version, until_us, "trees", "owner", "a-request" if answers else ""))

    @precondition(lambda self: self.facts)
    @rule(data=st.data())
    def hear_again(self, data: st.DataObject) -> None:
        """What was heard once changes nothing when it is heard again."""
        fact = data.draw(st.sampled_from(self.facts))
        before, said = self.state, len(self.effects)
        self._tell(fact, again=True)
        assert self.state == before
        assert len(self.effects) == said

    @rule()
    def begin_anew(self) -> None:
        self.state = decode(encode(Kept(self.state))).state

    def _decision(self, request_id: str, *, approved: bool) -> Decided:
        self.approvals += 1
        return Decided(MODEL, request_id, f"a{self.approvals}", approved, "ada", "", self.state.now_us)

    def _tell(self, fact: Fact, *, again: bool = False) -> None:
        before = self.state
        try:
            self.state, effects = apply(before, fact, RULES)
        except VoidDecision:
            effects = ()
        if not again:
            self.facts.append(fact)
        for effect in effects:
            self._check(before, effect)
        self.effects.extend(effects)

    def _check(self, before: ModelState, effect: Effect) -> None:
        now_us = self.state.now_us
        broken = any(now_us - end_us <= VETO_US for end_us in self.broken_us)
        match effect:
            case Asked():
                assert not broken
                assert effect.request.expires_at_us == now_us + EXPIRES_US
                assert all(now_us >= ended_us + COOLDOWN_US for ended_us in self.ended_us)
            case Approved():
                assert before.request == effect.request
                assert now_us <= effect.request.expires_at_us
                assert not broken
                self.ended_us.append(now_us)
            case Refused():
                if effect.was_asked and effect.refusal is not Refusal.VETOED:
                    self.ended_us.append(now_us)
                assert (effect.refusal is Refusal.VETOED) <= broken
            case AlarmChanged():
                pass

    @invariant()
    def at_most_one_is_open_and_each_ends_once(self) -> None:
        asked = [one.request.request_id for one in self.effects if isinstance(one, Asked)]
        ended = [one.request.request_id for one in self.effects if isinstance(one, Approved)]
        ended += [one.wish for one in self.effects if isinstance(one, Refused) and one.was_asked]
        assert len(set(asked)) == len(asked)
        assert len(set(ended)) == len(ended)
        still_open = set(asked) - set(ended)
        assert still_open == ({self.state.request.request_id} if self.state.request else set())

    @invariant()
    def nothing_waits_beyond_its_time(self) -> None:
        request = self.state.request
        assert request is None or self.state.now_us <= request.expires_at_us

    @invariant()
    def what_is_said_has_a_name_of_its_own(self) -> None:
        ids = [effect.id for effect in self.effects]
        assert len(set(ids)) == len(ids)

    @invariant()
    def alerts_go_on_or_end_and_never_fire_twice(self) -> None:
        for name in ("retrain-vetoed", "retrain-expired"):
            told = [
                one.alarm for one in self.effects if isinstance(one, AlarmChanged) and one.alarm.name == name
            ]
            for last, this in pairwise(told):
                goes_on = (this.episode, this.revision) == (last.episode, last.revision + 1) and last.firing
                begins = (this.episode, this.revision) == (last.episode + 1, 0) and not last.firing
                assert goes_on or (begins and this.firing)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
