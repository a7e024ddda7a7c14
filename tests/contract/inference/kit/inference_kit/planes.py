"""What a data plane under test offers: doors to put things in and take things out, nothing inside."""

from collections.abc import Sequence
from typing import Any, Protocol

import grpc
from bus.events import Event
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from tidemark.common.v1.value_pb2 import Value
from tidemark.registry.v1.route_pb2 import RouteChanged
from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest, ScoreResponse
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

from inference_kit.stock import Stock, route_event


class DataPlane(Protocol):
    """A plane under test. To put another in its place, write one of these."""

    stock: Stock
    channel: grpc.aio.Channel

    async def publish_route(self, event: Event) -> None:
        """Publish on the routes topic."""

    async def apply(self, orders: Sequence[dict[str, Any]]) -> None:
        """Bring the feature rows up to date with these orders."""

    async def predictions(self) -> list[Event]:
        """Read every prediction emitted so far, buffered ones included."""


async def follow(plane: DataPlane, route: RouteChanged) -> None:
    """Publish a route, and return when the plane has read it and followed or refused it.

    Routes are read in order: a route of another model, published behind it, answers only then.
    """
    await plane.publish_route(route_event(route))
    marker = plane.stock.route(plane.stock.version(model=MARKER), model=MARKER, salt="m")
    marker.arms[0].variant = f"marker-{route.revision}"
    await plane.publish_route(route_event(marker))
    stub = ScoringServiceStub(plane.channel)
    while await _marker_of(stub) != marker.arms[0].variant:
        pass


MARKER = "marker"
MARKER_QUESTION = ScoreRequest(model=MARKER, context={"unasked": Value(number=0)}, prediction_id="marker")


async def _marker_of(stub: ScoringServiceStub) -> str:
    try:
        reply: ScoreResponse = await stub.Score(MARKER_QUESTION)
    except grpc.aio.AioRpcError as error:
        if error.code() not in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE}:
            raise
        return ""
    return reply.variant


async def is_serving(plane: DataPlane) -> None:
    """Return once the plane says over the health service that it serves."""
    watching = HealthStub(plane.channel).Watch(HealthCheckRequest())
    async for health in watching:
        if health.status == HealthCheckResponse.SERVING:
            watching.cancel()
            return
