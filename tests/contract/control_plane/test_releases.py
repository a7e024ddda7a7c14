"""Whatever people and comparisons do, in whatever order: one champion, approved, and an audit that holds."""

import asyncio
import shutil
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from bus.topics import AUDIT_RECORDED, ROLLOUTS_CHANGED, ROUTES_CHANGED
from control_plane import handlers
from control_plane.adapters.announcements import announce
from control_plane.adapters.memory import MemoryOutbox, MemoryRegistry
from control_plane.adapters.sql import Database, SqlOutbox, SqlRegistry, migrate
from control_plane.domain.approvals import Decision
from control_plane.domain.comparisons import Comparison, Verdict
from control_plane.domain.errors import RegistryError
from control_plane.domain.experiments import Condition, Experiment, Segment, Share
from control_plane.domain.governing import RetrainRequest
from control_plane.domain.releasing import RolloutRequest
from control_plane.domain.rollouts import Plan, Rollout, RolloutState, arrangement
from control_plane.domain.routes import RouteRequest
from control_plane.domain.state import ModelState
from control_plane.domain.versions import Gate, Provenance
from control_plane.handlers import Asking
from control_plane.ports import Lease, Outbox, Registry
from control_plane.testing import MemoryPackages, package_facts
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tidemark.registry.v1.rollout_pb2 import RolloutChanged
from tidemark.registry.v1.route_pb2 import RouteChanged

Result = TypeVar("Result")
NAMES = ["a", "b", "c", "d"]
names = st.sampled_from(NAMES)
DAY_US = 86_400_000_000
PLAN = Plan(shadow_windows=1, canary_basis_points=(100, 5000), step_windows=1, guard_windows=2)
FEW = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Releases(RuleBasedStateMachine):
    """People and comparisons at one model, on memory adapters."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.registry, self.outbox = self.run(self.stores())
        self.packages = MemoryPackages()
        self.approved: set[str] = set()
        self.seen: list[Comparison] = []
        self.day = 0
        self.now_us = 0
        self.told: set[str] = set()
        self.route_revision = 0
        self.links = 0

    def run(self, doing: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(doing)

    async def stores(self) -> tuple[Registry, Outbox]:
        outbox = MemoryOutbox()
        return MemoryRegistry(outbox, announce=announce), outbox

    def teardown(self) -> None:
        self.runner.close()

    def asking(self, actor: str = "ada") -> Asking:
        self.now_us += 1
        return Asking(actor, self.now_us)

    def attempt(self, doing: Awaitable[object]) -> bool:
        async def awaited() -> bool:
            with suppress(RegistryError):
                await doing
                return True
            return False

        return self.run(awaited())

    def state(self) -> ModelState:
        return self.run(self.registry.state("late"))

    @initialize()
    def somebody_serves(self) -> None:
        for name in NAMES[:3]:
            self.register(name, failed=False)
            self.decide(name, approve=True, waive=False, actor="bo")
        self.register("d", failed=True)
        self.route("a", [])

    @rule(name=names, failed=st.booleans())
    def register(self, name: str, *, failed: bool) -> None:
        claim = self.packages.put(package_facts(name=name))
        gates = (Gate("latency", passed=not failed),)
        claim = type(claim)(
            claim.model,
            claim.version,
            claim.digest,
            claim.package_uri,
            provenance=Provenance(registered_by="ada", gates=gates),
        )
        self.attempt(
            handlers.register(
                claim, registry=self.registry, packages=self.packages, now_us=self.asking().now_us
            )
        )

    @rule(name=names, approve=st.booleans(), waive=st.booleans(), actor=st.sampled_from(["ada", "bo"]))
    def decide(self, name: str, *, approve: bool, waive: bool, actor: str) -> None:
        decision = Decision(approve, actor, "because", ("latency",) if waive and approve else ())
        asking = self.asking(actor)
        done = self.attempt(
            handlers.decide_approval(f"version:late:{name}", decision, asking, registry=self.registry)
        )
        if done and approve:
            assert actor != "ada", "nobody approves what they registered"
            self.approved.add(name)

    @rule(champion=names, shadows=st.lists(names, max_size=2))
    def route(self, champion: str, shadows: list[str]) -> None:
        request = RouteRequest("late", champion, tuple(shadows))
        self.attempt(
            handlers.set_route(request, self.asking(), registry=self.registry, packages=self.packages)
        )

    @rule(champion=names, arm=names, weight=st.sampled_from([0, 100, 5_000]), segment=names | st.none())
    def experiment(self, champion: str, arm: str, weight: int, segment: str | None) -> None:
        jfk = (Condition("entity", "origin", ("JFK",)),)
        segments = (Segment("jfk", jfk, (Share("only", segment, 10_000),)),) if segment else ()
        beside = Experiment((Share("arm", arm, weight),), segments)
        request = RouteRequest("late", champion, experiment=beside)
        self.attempt(
            handlers.set_route(request, self.asking(), registry=self.registry, packages=self.packages)
        )

    @rule(name=names, skip=st.booleans())
    def start(self, name: str, *, skip: bool) -> None:
        plan = Plan(
            PLAN.shadow_windows, PLAN.canary_basis_points, PLAN.step_windows, PLAN.guard_windows, skip
        )
        request = RolloutRequest(name, plan, "ada", "it is time")
        self.attempt(
            handlers.start_rollout(
                "late", request, self.asking(), registry=self.registry, packages=self.packages
            )
        )

    @rule(windows=st.integers(1, 6))
    def the_candidate_does_well(self, windows: int) -> None:
        for _ in range(windows):
            running = self.state().rollout
            if running:
                guarded = running.state is RolloutState.GUARD
                self.compare(Verdict.WORSE if guarded else Verdict.BETTER, 1, 0)

    @rule(verdict=st.sampled_from(list(Verdict)), days=st.integers(0, 4), revision=st.integers(0, 2))
    def compare(self, verdict: Verdict, days: int, revision: int) -> None:
        """The two are compared over a window; which one is champion follows the route."""
        state = self.state()
        assert state.route is not None
        champion = state.route.champion.version
        pair = ["a", "b"] if state.rollout is None else [state.rollout.previous, state.rollout.version]
        challenger = pair[1] if champion == pair[0] else pair[0]
        self.day += days
        seen = Comparison(
            model="late",
            champion=champion,
            challenger=challenger,
            window_start_us=self.day * DAY_US,
            window_end_us=(self.day + 1) * DAY_US,
            revision=revision,
            provisional=False,
            verdict=verdict,
            reason="numbers.",
            watermark_us=(self.day + 1) * DAY_US,
        )
        self.seen.append(seen)
        self.take(seen)

    @rule(data=st.data())
    def compare_again(self, data: st.DataObject) -> None:
        if self.seen:
            self.take(data.draw(st.sampled_from(self.seen)))

    def take(self, seen: Comparison) -> None:
        doing = handlers.on_variants_compared(seen, registry=self.registry, now_us=self.asking().now_us)
        before = self.state()
        first = self.run(doing)
        again = self.run(
            handlers.on_variants_compared(seen, registry=self.registry, now_us=self.asking().now_us)
        )
        assert again.empty, "a repeat changes nothing"
        assert first.before == before

    @rule()
    def abort(self) -> None:
        running = self.state().rollout
        rollout_id = running.rollout_id if running else "late-r1"
        self.attempt(handlers.abort_rollout("late", rollout_id, "", self.asking(), registry=self.registry))

    @rule()
    def roll_back(self) -> None:
        before = self.state()
        done = self.attempt(handlers.roll_back("late", "", self.asking(), registry=self.registry))
        after = self.state()
        assert after.route is not None
        assert before.route is not None
        if done and before.rollout:
            assert after.route.champion.version == before.rollout.previous
        elif done and before.route.experiment.diverts_from(before.route.champion.version):
            assert after.route.champion.version == before.route.champion.version
        elif done:
            assert after.versions[before.route.champion.version].withdrawn
            assert after.route.champion.version != before.route.champion.version
        assert not done or (after.rollout is None and after.route.canary is None)
        assert not done or not after.route.experiment.shares

    @rule(number=st.integers(0, 3), expires=st.integers(0, 10))
    def request(self, number: int, expires: int) -> None:
        wanted = RetrainRequest(
            f"late:drift:{number}", "late", "drift", self.day * DAY_US, (self.day + expires) * DAY_US, {}
        )
        self.run(handlers.on_retrain_requested(wanted, registry=self.registry, now_us=self.asking().now_us))

    @invariant()
    def everything_holds(self) -> None:
        self.what_is_told_makes_sense()
        self.the_route_is_the_rollouts()
        self.the_audit_holds()

    def what_is_told_makes_sense(self) -> None:
        for topic, event in self.run(self.news()):
            assert event.id not in self.told, "every fact has an id of its own"
            self.told.add(event.id)
            if topic == ROUTES_CHANGED.name:
                self.check_route(RouteChanged.FromString(event.data))
            if topic == ROLLOUTS_CHANGED.name:
                told = RolloutChanged.FromString(event.data)
                assert told.route_revision == self.route_revision
            self.links += topic == AUDIT_RECORDED.name

    def check_route(self, told: RouteChanged) -> None:
        assert told.revision == self.route_revision + 1
        self.route_revision = told.revision
        assert [arm.variant for arm in told.arms][:1] == ["champion"]
        assert [arm.variant for arm in told.arms].count("champion") == 1
        assert sum(arm.weight_basis_points for arm in told.arms) == 10_000
        assert len({arm.variant for arm in told.arms}) == len(told.arms)
        parts = [told, *told.segments]
        answering = {arm.version.version for part in parts for arm in part.arms}
        assert answering <= self.approved, "no unapproved version on traffic, nor kept warm for it"

    async def news(self) -> list[tuple[str, Any]]:
        self.now_us += 1
        lease = Lease("me", self.now_us, self.now_us + 10)
        pending = await self.outbox.claim(lease, 1000)
        if pending:
            assert await self.outbox.mark_sent([item.number for item in pending], lease, self.now_us)
        return [(item.topic, item.event) for item in pending]

    def the_route_is_the_rollouts(self) -> None:
        state = self.state()
        rollout: Rollout | None = state.rollout
        if rollout is None:
            assert state.route is None or state.route.canary is None
            return
        assert state.route is not None
        assert not state.route.experiment.shares, "a rollout and an experiment never run together"
        assert state.route.arrangement == arrangement(rollout, state.versions)
        assert rollout.last.route_revision == state.route.revision

    def the_audit_holds(self) -> None:
        found = self.run(handlers.verify_audit(registry=self.registry))
        assert found.broken is None
        assert found.links == found.head.sequence == self.links


class SqlReleases(Releases):
    """The same on SQLite: what a commit writes is what the next decision reads."""

    template: Path

    async def stores(self) -> tuple[Registry, Outbox]:
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / "registry.sqlite"
        shutil.copy(self.template, path)
        self.database = Database(f"sqlite:///{path}")
        return SqlRegistry(self.database, announce=announce), SqlOutbox(self.database)

    def teardown(self) -> None:
        self.run(self.database.__aexit__())
        self.folder.cleanup()
        super().teardown()


TestReleases = Releases.TestCase
TestReleases.settings = FEW


class TestSqlReleases(SqlReleases.TestCase):  # type: ignore[name-defined,misc]
    """Migrates once; each example begins with a copy."""

    settings = settings(FEW, max_examples=8, stateful_step_count=30)

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = TemporaryDirectory()
        SqlReleases.template = Path(cls.folder.name) / "template.sqlite"

        async def make() -> None:
            async with Database(f"sqlite:///{SqlReleases.template}") as database:
                await migrate(database)

        asyncio.run(make())

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()
