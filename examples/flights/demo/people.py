"""Plays the people of the story: who looks, trains, approves and releases.

They know what anybody could know: what the control plane answers and what is on the topics. Nothing that the
services decide is decided here.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from bus import topics
from tidemark.monitoring.v1.variants_pb2 import VariantsCompared, Verdict
from tidemark.registry.v1.rollout_pb2 import RolloutChanged, RolloutState

from examples.flights.demo.governance import RefusedError
from examples.flights.demo.options import APPROVER, BAD, CHALLENGER, CHAMPION, OPERATOR, TRAINER
from examples.flights.publishing import DAY_US

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from examples.flights.demo.chronicle import Chronicle
    from examples.flights.demo.governance import Answer, Governance
    from examples.flights.demo.journal import Journal
    from examples.flights.demo.options import DemoOptions

    Train = Callable[[str, int, int], Awaitable[dict[str, Any]]]
    Say = Callable[[int, str], None]

_GATES_FAILED: Final = "gates-failed"


class People:
    """Looks at the platform whenever it has settled, and does what is due.

    Args:
        train: Trains an algorithm with a seed on what is known by a time; returns what was registered.
        say: Tells who watches what the demo itself does.
    """

    def __init__(
        self,
        *,
        governance: Governance,
        chronicle: Chronicle,
        journal: Journal,
        options: DemoOptions,
        train: Train,
        say: Say,
    ) -> None:
        self._governance = governance
        self._chronicle = chronicle
        self._journal = journal
        self._options = options
        self._train = train
        self._say = say
        self._shadow: str | None = None
        self._retrained: str | None = None
        self._bad: list[str] = []

    async def begin(self, now_us: int) -> None:
        """Trains two versions, approves them, and routes them: one serves, the other is its shadow."""
        cut_us = training_cut_us(now_us)
        answers = await asyncio.gather(*(self._train(name, cut_us, 0) for name in (CHAMPION, CHALLENGER)))
        for answer, part in zip(answers, ("champion", "challenger"), strict=True):
            self._journal.versions.append({**answer, "role": part})
            await self._governance.version(answer["version"])
        champion, challenger = (version["version"] for version in self._journal.versions)
        for item in await self._governance.pending():
            failed = await self._failed_gates(item["subject_id"])
            comment = "nothing serves yet, and a shadow answers nobody" if failed else "passed every gate"
            await self._approve(now_us, item, comment, failed)
        await self._governance.route(OPERATOR, champion, [challenger])
        self._shadow = challenger

    async def act(self, now_us: int) -> bool:
        """Does what is due; says whether anything was."""
        acted = await self._retire_challenger(now_us)
        for item in await self._governance.pending():
            acted |= await self._decide(now_us, item)
        acted |= await self._train_bad_ones(now_us)
        if acted:
            await self._governance.announced()
        return acted

    async def followed(self) -> None:
        """Returns when every replica answers by the newest route."""
        await self._governance.followed()

    async def _retire_challenger(self, now_us: int) -> bool:
        """Once the comparison has come to a verdict, the challenger has served its purpose."""
        verdict = self._verdict_on(self._shadow)
        if self._shadow is None or verdict is None:
            return False
        route = await self._governance.routed()
        self._say(now_us, f"{OPERATOR} retires {self._shadow} from the route: {verdict.reason}")
        await self._governance.route(OPERATOR, route["champion"]["version"], [])
        self._shadow = None
        return True

    def _verdict_on(self, version: str | None) -> VariantsCompared | None:
        compared = [
            said
            for said in self._chronicle.messages(topics.VARIANTS_COMPARED, VariantsCompared)
            if said.challenger.version == version and not said.provisional
        ]
        newest = max(compared, key=lambda said: said.window_start.ToMicroseconds(), default=None)
        settled = newest is not None and newest.verdict != Verdict.VERDICT_INSUFFICIENT
        return newest if settled else None

    async def _decide(self, now_us: int, item: Answer) -> bool:
        if item["subject"] == "retrain":
            await self._approve(
                now_us, item, "the inputs have moved for good and there is enough to learn from"
            )
            return True
        version = item["subject_id"]
        if version in self._bad:
            return await self._decide_on_bad(now_us, item, self._bad.index(version))
        if failed := await self._failed_gates(version):
            await self._governance.decide(APPROVER, item["approval_id"], "reject", "its gates failed")
            self._say(now_us, f"{APPROVER} rejects {version}: it failed {', '.join(failed)}")
            return True
        await self._approve(now_us, item, "every gate passed, and it beats the champion on recent flights")
        self._retrained = version
        self._journal.versions.append({**await self._governance.version(version), "role": "retrained"})
        await self._roll_out(now_us, version, self._options.plan, "learned the season the champion never saw")
        return True

    async def _decide_on_bad(self, now_us: int, item: Answer, number: int) -> bool:
        version = item["subject_id"]
        try:
            await self._approve(now_us, item, "looks fine at a glance")
        except RefusedError as refused:
            self._journal.gate_refusals += refused.problem == _GATES_FAILED
            self._say(now_us, f"the gates refuse {version}: {refused}")
        if number == 0:
            await self._governance.decide(APPROVER, item["approval_id"], "reject", "its gates failed")
            return True
        failed = [
            gate["name"] for gate in (await self._governance.version(version))["gates"] if not gate["passed"]
        ]
        reason = "a drill: will the canary catch what the gates would have?"
        await self._approve(now_us, item, reason, failed)
        await self._roll_out(now_us, version, {**self._options.plan, "skip_shadow": True}, reason)
        return True

    async def _train_bad_ones(self, now_us: int) -> bool:
        """Candidates that learned noise: one for the gates, and later, once the good one is out, a canary."""
        reached = {said.state for said in self._rollouts_of(self._retrained)}
        due = (RolloutState.ROLLOUT_STATE_CANARY, RolloutState.ROLLOUT_STATE_COMPLETED)
        number = len(self._bad)
        if self._retrained is None or number == len(due) or due[number] not in reached:
            return False
        self._say(now_us, f"{TRAINER} trains {BAD} on purpose: the labels are dealt out at random")
        answer = await self._train(BAD, training_cut_us(now_us), number + 1)
        self._bad.append(answer["version"])
        self._journal.versions.append({**answer, "role": f"bad on purpose, {number + 1}"})
        await self._governance.version(answer["version"])
        return True

    def _rollouts_of(self, version: str | None) -> list[RolloutChanged]:
        rollouts = self._chronicle.messages(topics.ROLLOUTS_CHANGED, RolloutChanged)
        return [said for said in rollouts if said.version == version]

    async def _approve(self, now_us: int, item: Answer, comment: str, waive: list[str] | None = None) -> None:
        with _already("already-decided"):
            await self._governance.decide(APPROVER, item["approval_id"], "approve", comment, waive or ())
        waived = f", waiving {', '.join(waive)}" if waive else ""
        self._say(now_us, f"the demo plays the approver: {item['approval_id']} approved{waived}: {comment}")

    async def _roll_out(self, now_us: int, version: str, plan: Mapping[str, Any], reason: str) -> None:
        with _already("rollout-in-progress"):
            await self._governance.roll_out(OPERATOR, version, plan, reason)
        self._say(now_us, f"{OPERATOR} starts the rollout of {version}")

    async def _failed_gates(self, version: str) -> list[str]:
        gates = (await self._governance.version(version))["gates"]
        return [gate["name"] for gate in gates if not gate["passed"]]


@contextmanager
def _already(problem: str) -> Iterator[None]:
    """Whoever asks again, for the reply was lost, is told that it is done: that is as good."""
    try:
        yield
    except RefusedError as refused:
        if refused.problem != problem:
            raise


def training_cut_us(now_us: int) -> int:
    """The last midnight: what people train on is whole days."""
    return (now_us + 1) // DAY_US * DAY_US
