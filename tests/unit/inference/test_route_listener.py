"""After a start only the newest route of each model is followed, then each that comes; no model waits."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest
import structlog
from bus.events import Event
from bus.received import Received
from inference.adapters.kafka import RouteListener
from inference.domain.routes import Role, Route
from inference.routes.uptakes import Uptakes
from tidemark.registry.v1.route_pb2 import Arm, RouteChanged


class ListedRoutes:
    """Routes in a list, of which some models can be made to take their time."""

    def __init__(self) -> None:
        self.done: list[tuple[str, int]] = []
        self.begun: list[tuple[str, int]] = []
        self.gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.slow: set[str] = set()
        self.routes: list[Route] = []
        self._more = asyncio.Condition()

    async def apply(self, route: Route) -> None:
        self.begun.append((route.model, route.revision))
        if route.model in self.slow:
            await self.gates[route.model].wait()
        self.routes.append(route)
        self.done.append((route.model, route.revision))
        async with self._more:
            self._more.notify_all()

    async def did(self, model: str, revision: int) -> None:
        async with self._more:
            await self._more.wait_for(lambda: (model, revision) in self.done)

    async def withdraw(self, model: str) -> None:
        self.begun.append((model, -1))
        self.done.append((model, -1))

    def complete(self) -> None:
        self.done.append(("complete", 0))


class Stage:
    """A listener, and what it has taken up."""

    def __init__(self) -> None:
        self.routes = ListedRoutes()
        self.uptakes = Uptakes(self.routes)
        self._listener = RouteListener(self.uptakes, structlog.get_logger())

    async def hears(self, model: str, revision: int, *, data: bytes | None = None) -> None:
        route = RouteChanged(model=model, revision=revision).SerializeToString()
        event = Event(
            f"{model}:{revision}",
            "RouteChanged",
            "test",
            model,
            0,
            0,
            model.encode(),
            route if data is None else data,
            tombstone=revision < 0,
        )
        await self._listener(Received("routes", 0, 0, event))


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(stage.uptakes.run())
        yield stage
        running.cancel()


async def test_before_it_is_live_nothing_is_followed(stage: Stage) -> None:
    await stage.hears("a", 1)
    await stage.uptakes.settled()
    assert stage.routes.begun == []


async def test_of_the_past_only_the_newest_is_followed(stage: Stage) -> None:
    for model, revision in (("a", 1), ("b", 1), ("a", 2), ("c", 1), ("c", -1)):
        await stage.hears(model, revision)
    await stage.uptakes.go_live()
    assert stage.routes.done == [("a", 2), ("b", 1), ("c", -1), ("complete", 0)]


async def test_once_live_every_route_is_followed_as_it_comes(stage: Stage) -> None:
    await stage.uptakes.go_live()
    for revision in (1, 2, -1):
        await stage.hears("a", revision)
    await stage.uptakes.settled()
    assert stage.routes.done == [("complete", 0), ("a", 1), ("a", 2), ("a", -1)]


async def test_a_model_that_takes_its_time_holds_up_no_other(stage: Stage) -> None:
    await stage.uptakes.go_live()
    stage.routes.slow = {"slow"}
    for model, revision in (("slow", 1), ("quick", 1), ("slow", 2), ("quick", 2)):
        await stage.hears(model, revision)
    settled = asyncio.ensure_future(stage.uptakes.settled())
    await asyncio.wait_for(stage.routes.did("quick", 2), 10)
    assert not settled.done()
    assert stage.routes.begun == [("slow", 1), ("quick", 1), ("slow", 2), ("quick", 2)]
    stage.routes.gates["slow"].set()
    await asyncio.wait_for(settled, 10)


async def test_the_past_is_not_complete_before_its_slowest_route_is_settled(stage: Stage) -> None:
    stage.routes.slow = {"a"}
    await stage.hears("a", 1)
    await stage.hears("b", 1)
    live = asyncio.ensure_future(stage.uptakes.go_live())
    await asyncio.sleep(0)
    await stage.hears("b", 2)
    stage.routes.gates["a"].set()
    await asyncio.wait_for(live, 10)
    assert stage.routes.done.index(("complete", 0)) > stage.routes.done.index(("a", 1))
    assert [done for done in stage.routes.done if done[0] == "b"] == [("b", 1), ("b", 2)]


async def test_bytes_that_are_no_route_leave_the_one_before(stage: Stage) -> None:
    await stage.hears("a", 1)
    await stage.hears("a", 2, data=b"\xff\xff")
    await stage.uptakes.go_live()
    assert stage.routes.done[0] == ("a", 1)


async def test_a_role_from_the_future_is_read_as_unspecified(stage: Stage) -> None:
    await stage.uptakes.go_live()
    route = RouteChanged(model="a", revision=1, arms=[Arm(variant="x", role=99)])
    await stage.hears("a", 1, data=route.SerializeToString())
    await stage.uptakes.settled()
    assert stage.routes.routes[0].arms[0].role is Role.UNSPECIFIED
