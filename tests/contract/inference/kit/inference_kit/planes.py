"""What a data plane under test offers: doors to put things in and take things out, nothing inside."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import grpc
from bus.events import Event
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from tidemark.registry.v1.route_pb2 import RouteChanged, RouteFollowed, RouteUptake

from inference_kit.stock import Stock, route_event


class DataPlane(Protocol):
    """A plane under test. To put another in its place, write one of these."""

    stock: Stock
    channel: grpc.aio.Channel
    address: str

    def stop(self) -> None:
        """Ask it to end, as SIGTERM does."""

    async def publish_route(self, event: Event) -> None:
        """Publish on the routes topic."""

    async def apply(self, orders: Sequence[dict[str, Any]]) -> None:
        """Bring the feature rows up to date with these orders."""

    async def put_rows(self, rows: Mapping[str, bytes]) -> None:
        """Put rows into the store as they are, by key."""

    async def predictions(self) -> list[Event]:
        """Read every prediction emitted so far, buffered ones included."""

    async def told(self, route: RouteChanged) -> None:
        """Return when it says on `routes.followed` what became of this route, or of a newer one."""

    async def said(self) -> list[Event]:
        """Read everything said about routes so far."""


async def follow(plane: DataPlane, route: RouteChanged) -> None:
    """Publish a route, and return when the plane has followed or refused it."""
    await plane.publish_route(route_event(route))
    await plane.told(route)


def taken_up(event: Event, route: RouteChanged) -> bool:
    """Whether an event of `routes.followed` says that serving has this route, or a newer one, behind it."""
    said = RouteFollowed.FromString(event.data)
    is_settled = said.uptake in {RouteUptake.ROUTE_UPTAKE_FOLLOWED, RouteUptake.ROUTE_UPTAKE_REFUSED}
    return (
        is_settled and said.role == "serve" and said.model == route.model and said.revision >= route.revision
    )


async def is_serving(plane: DataPlane) -> None:
    """Return once the plane says over the health service that it serves."""
    # Channels of one process share connections, and how long to wait before the next try after a kill.
    watching = HealthStub(plane.channel).Watch(HealthCheckRequest(), wait_for_ready=True)
    async for health in watching:
        if health.status == HealthCheckResponse.SERVING:
            watching.cancel()
            return
