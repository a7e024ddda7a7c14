"""A request for a model that rests waits for it, as long as its caller does and as far as there is room."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import structlog
from feature_store import Pseudonyms
from feature_store.concealment import Concealment
from feature_store.online import ReadRows
from inference.adapters.wire import asked_of, route_of
from inference.domain.admission import Admission, Bounds
from inference.domain.batching import Line
from inference.domain.conduct import Patience
from inference.domain.errors import InvalidRequest, ModelNotReady, Overloaded, ScoringError
from inference.domain.requests import Asked
from inference.domain.routes import VersionRef
from inference.domain.warmth import WarmModels
from inference.metrics import Metrics
from inference.routes.bounded import BoundedRouteTable
from inference.routes.serving import ServedModel, ServedModels
from inference.routes.table import arms_of
from inference.routes.versions import PackageVersions, Version
from inference.scored import Scored
from inference.serve.lanes import Intake
from inference.serve.waking import WakingPlane
from inference_kit.companies import AT_ONCE
from inference_kit.heralds import herald
from inference_kit.stock import DURABLE_MODEL, MODEL, NOW_US, Stock, question
from model_package import PackageStore
from prometheus_client import CollectorRegistry
from tidemark.common.v1.value_pb2 import Value
from tidemark.registry.v1.route_pb2 import AnyOf, Condition, Segment

MOST_WAITING = 3


class NoRows:
    """Feature rows of which there are none, which is said in the next turn."""

    def request(self, keys: Sequence[bytes], on_rows: Callable[[ReadRows], None]) -> None:
        asyncio.get_running_loop().call_soon(on_rows, ReadRows([None] * len(keys), readable=True))


class Forgotten:
    """A prediction log that keeps nothing."""

    def offer(self, scored: Scored) -> None:
        pass

    async def write(self, scored: Scored) -> None:
        pass


class HeldVersions:
    """Versions that are loaded when the test lets them."""

    def __init__(self, versions: PackageVersions) -> None:
        self._versions = versions
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self, model: str, ref: VersionRef) -> Version:
        await self.gate.wait()
        return await self._versions.load(model, ref)


class Stage:
    """A plane with room for the one model that was loaded last, and two models with a route."""

    def __init__(self, folder: Path) -> None:
        self.stock = Stock(folder)
        metrics, log = Metrics(CollectorRegistry()), structlog.get_logger()
        models = ServedModels(self.stock.project)
        self.versions = HeldVersions(PackageVersions(PackageStore(self.stock.packages), models.contract_hash))
        self.routes: BoundedRouteTable[ServedModel] = BoundedRouteTable(
            warm=WarmModels(budget_bytes=1),
            give_back=lambda: None,
            versions=self.versions,
            needs=arms_of,
            build=models.build,
            herald=herald(),
            metrics=metrics,
            log=log,
        )
        self.plane = WakingPlane(
            routes=self.routes,
            most_waiting=MOST_WAITING,
            rows=NoRows(),
            predictions=Forgotten(),
            intake=Intake(Line(limit=100, batch=10), Admission(Bounds()), Patience(), AT_ONCE),
            metrics=metrics,
            now_s=asyncio.get_running_loop().time,
            log=log,
        )

    async def follow(self, model: str) -> None:
        route = self.stock.route(self.stock.version(model=model), model=model)
        await self.routes.apply(route_of(route.SerializeToString()))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """The model rests; the durable one was routed behind it."""
    stage = Stage(tmp_path)
    stage.routes.complete()
    await stage.follow(MODEL)
    await stage.follow(DURABLE_MODEL)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(stage.routes.run())
        yield stage
        running.cancel()


def asked(model: str = MODEL, **changes: object) -> Asked:
    return asked_of(question(model=model, **changes), now_us=NOW_US, new_id=lambda: "generated")


async def test_a_request_for_a_model_that_rests_is_answered_once_it_is_loaded(stage: Stage) -> None:
    assert stage.routes.is_resting(MODEL)
    scored = await stage.plane.score(asked(), None)
    assert scored.asked.model == MODEL
    assert stage.routes.is_resting(DURABLE_MODEL)


async def test_who_cannot_wait_is_told_in_time_and_the_model_comes_all_the_same(stage: Stage) -> None:
    stage.versions.gate.clear()
    async with asyncio.timeout(10):
        with pytest.raises(ModelNotReady, match="ask again in a second"):
            await stage.plane.score(asked(), 0.05)
        stage.versions.gate.set()
        await stage.routes.woken(MODEL)
    assert not stage.routes.is_resting(MODEL)


async def test_only_so_many_wait(stage: Stage) -> None:
    stage.versions.gate.clear()
    waiting = [asyncio.ensure_future(stage.plane.score(asked(), None)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await stage.plane.score(asked(), None)
    stage.versions.gate.set()
    assert len(await asyncio.gather(*waiting)) == MOST_WAITING


async def test_a_batch_of_several_models_is_answered_in_order(stage: Stage) -> None:
    odd: ScoringError = InvalidRequest("model", "is odd")
    requests = [asked(), asked(DURABLE_MODEL), odd, asked(), asked("nobody")]
    answers = await stage.plane.score_many(requests, None)
    assert [one.asked.model if isinstance(one, Scored) else type(one).__name__ for one in answers] == [
        MODEL,
        DURABLE_MODEL,
        "InvalidRequest",
        MODEL,
        "UnknownModel",
    ]


async def test_a_segment_may_not_name_the_values_of_a_field_that_is_hashed(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    pseudonyms = Pseudonyms(b"a secret of sixteen bytes or more")
    hidden = Concealment(
        pseudonyms,
        known_entities=frozenset({"user", "item"}),
        hashed_entities=frozenset({"user"}),
        known_inputs=frozenset({"channel"}),
        hashed_inputs=frozenset({"channel"}),
        hashed_request_keys=frozenset(),
    )
    models = ServedModels(stage.stock.project, hidden)
    table: BoundedRouteTable[ServedModel] = BoundedRouteTable(
        warm=WarmModels(1),
        give_back=lambda: None,
        versions=stage.versions,
        needs=arms_of,
        build=models.build,
        herald=herald(),
        metrics=Metrics(CollectorRegistry()),
        log=structlog.get_logger(),
    )
    for condition in (
        Condition(entity="user", any_of=AnyOf(values=[Value(text="ann")])),
        Condition(input="channel", any_of=AnyOf(values=[Value(text="web")])),
    ):
        route = stage.stock.route(stage.stock.version())
        route.segments.append(Segment(name="s", conditions=[condition], arms=route.arms))
        await table.apply(route_of(route.SerializeToString()))
        assert "would tell them" in table.refusals[MODEL].detail
