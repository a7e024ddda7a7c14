"""After a start only the newest route of each model is followed, then each that comes."""

import asyncio

import structlog
from bus.events import Event
from bus.received import Received
from inference.adapters.kafka import RouteListener
from inference.domain.routes import Role, Route
from tidemark.registry.v1.route_pb2 import Arm, RouteChanged


class ListedRoutes:
    """Routes in a list, which can be made to take their time."""

    def __init__(self) -> None:
        self.done: list[tuple[str, int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.routes: list[Route] = []

    async def apply(self, route: Route) -> None:
        await self.gate.wait()
        self.routes.append(route)
        self.done.append((route.model, route.revision))

    async def withdraw(self, model: str) -> None:
        self.done.append((model, -1))

    def complete(self) -> None:
        self.done.append(("complete", 0))


def _received(model: str, revision: int, *, data: bytes | None = None) -> Received:
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
    return Received("routes", 0, 0, event)


def _listener() -> tuple[RouteListener, ListedRoutes]:
    routes = ListedRoutes()
    return RouteListener(routes, structlog.get_logger()), routes


async def test_before_it_is_live_nothing_is_followed() -> None:
    listener, routes = _listener()
    await listener(_received("a", 1))
    assert routes.done == []


async def test_of_the_past_only_the_newest_is_followed() -> None:
    listener, routes = _listener()
    for model, revision in (("a", 1), ("b", 1), ("a", 2), ("c", 1), ("c", -1)):
        await listener(_received(model, revision))
    await listener.go_live()
    assert routes.done == [("a", 2), ("b", 1), ("c", -1), ("complete", 0)]


async def test_once_live_every_route_is_followed_as_it_comes() -> None:
    listener, routes = _listener()
    await listener.go_live()
    for revision in (1, 2, -1):
        await listener(_received("a", revision))
    assert routes.done == [("complete", 0), ("a", 1), ("a", 2), ("a", -1)]


async def test_what_comes_while_the_past_is_followed_replaces_it() -> None:
    listener, routes = _listener()
    for model in ("a", "b"):
        await listener(_received(model, 1))
    routes.gate.clear()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listener.go_live())
        await asyncio.sleep(0)
        tasks.create_task(listener(_received("b", 2)))
        await asyncio.sleep(0)
        routes.gate.set()
    assert [done for done in routes.done if done[0] == "b"] == [("b", 2)]


async def test_bytes_that_are_no_route_leave_the_one_before() -> None:
    listener, routes = _listener()
    await listener(_received("a", 1))
    await listener(_received("a", 2, data=b"\xff\xff"))
    await listener.go_live()
    assert routes.done[0] == ("a", 1)


async def test_a_role_from_the_future_is_read_as_unspecified() -> None:
    listener, routes = _listener()
    await listener.go_live()
    route = RouteChanged(model="a", revision=1, arms=[Arm(variant="x", role=99)])
    await listener(_received("a", 1, data=route.SerializeToString()))
    assert routes.routes[0].arms[0].role is Role.UNSPECIFIED
