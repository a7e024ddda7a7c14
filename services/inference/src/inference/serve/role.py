"""`python -m inference`, put together from what `Outside` gives: clients, or in tests memory."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from inference.adapters.grpc import GrpcServer, ScoringServicer
from inference.adapters.heap import give_back
from inference.adapters.kafka import KafkaPredictionLog
from inference.adapters.open_inference import OpenInferenceServicer
from inference.adapters.redis import GuardedRows
from inference.background import running
from inference.clocks import stopwatch_s, wall_clock_us
from inference.domain.admission import Admission, Bounds
from inference.domain.batching import Line
from inference.domain.breaker import Breaker
from inference.domain.conduct import Patience
from inference.domain.ids import Uuid7s
from inference.domain.warmth import WarmModels
from inference.metrics import Metrics
from inference.routes.answering import answering
from inference.routes.bounded import BoundedRouteTable
from inference.routes.feed import RouteFeed, herald_of
from inference.routes.readiness import nobody
from inference.routes.table import RouteTable
from inference.serve.given import GivenVectors
from inference.serve.lanes import Intake
from inference.serve.open_inference import OpenInference
from inference.serve.plane import ScoringPlane
from inference.serve.waking import WakingPlane

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from bus.buffered import BufferedPublisher
    from bus.follow import Tail
    from bus.producer import Publisher
    from feature_store import Project
    from model_package import Packages
    from service_kit import Service

    from inference.adapters.redis import Connect
    from inference.routes.following import Herald
    from inference.routes.readiness import WhoKeeps
    from inference.routes.serving import ServedModel
    from inference.settings import InferenceSettings

_GRACE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What serving reaches the world through.

    Attributes:
        routes: The routes topic.
        packages: Where packages are.
        open_rows: Connects to the feature rows.
        later: Takes predictions that no reply waits for.
        now: Takes predictions that replies wait for.
        who_keeps: Asks which versions of views are kept up to date.
    """

    routes: Tail
    packages: Packages
    open_rows: Connect
    later: BufferedPublisher
    now: Publisher
    who_keeps: WhoKeeps = nobody


async def serve(
    service: Service,
    settings: InferenceSettings,
    project: Project,
    outside: Outside,
    on_listening: Callable[[int], None],
) -> None:
    """Score over gRPC until stopped; `on_listening` is told the port."""
    metrics = Metrics(service.metrics)
    herald = herald_of(settings, outside.now, "serve")
    table, tending = _table(
        settings.model_memory_mb * 1_000_000,
        **answering(settings, project, outside.packages, outside.who_keeps),
        herald=herald,
        metrics=metrics,
        log=service.log,
    )
    feed = RouteFeed(service, outside.routes, table, herald, retry_seconds=settings.retry_refused_seconds)
    rows = GuardedRows(outside.open_rows, Breaker(), metrics, service.log)
    predictions = KafkaPredictionLog(
        buffered=outside.later,
        publisher=outside.now,
        metrics=metrics,
        bound=settings.prediction_buffer,
        linger_s=settings.prediction_linger_ms / 1000,
        durable_deadline_s=settings.durable_deadline_ms / 1000,
    )
    plane = _plane(
        table,
        settings.max_waiting,
        rows=rows,
        predictions=predictions,
        intake=_intake(settings),
        metrics=metrics,
        now_s=stopwatch_s,
        log=service.log,
    )
    new_id = Uuid7s(wall_clock_us, os.urandom)
    open_inference = OpenInference(
        routes=table,
        plane=plane,
        given=GivenVectors(plane, stopwatch_s),
        is_ready=lambda: service.health.ready,
        is_stopping=service.stop.is_set,
        wall_clock_us=wall_clock_us,
        new_id=new_id,
    )
    scoring = ScoringServicer(plane, metrics, wall_clock_us=wall_clock_us, new_id=new_id)
    server = _server(settings, scoring, open_inference, metrics)
    beside = running(rows.run(), *feed.work(), *tending)
    async with beside, _rest(service, settings, open_inference, metrics):
        on_listening(await server.start())
        async with running(_announce(service, server, feed, table, rows, herald)):
            await service.stop.wait()
        await server.drain(settings.drain_seconds, _GRACE_SECONDS)
    plane.close()
    predictions.close()
    await feed.leave()


def _table(
    budget_bytes: int, **parts: Any
) -> tuple[RouteTable[ServedModel], Sequence[Coroutine[Any, Any, None]]]:
    """The table of routes, and the work that goes on beside it; only a bound on memory makes any."""
    if not budget_bytes:
        return RouteTable(**parts), ()
    table: BoundedRouteTable[ServedModel] = BoundedRouteTable(
        warm=WarmModels(budget_bytes), give_back=give_back, **parts
    )
    return table, (table.run(),)


def _plane(routes: RouteTable[ServedModel], most_waiting: int, **parts: Any) -> ScoringPlane:
    if isinstance(routes, BoundedRouteTable):
        return WakingPlane(routes=routes, most_waiting=most_waiting, **parts)
    return ScoringPlane(routes=routes, **parts)


def _intake(settings: InferenceSettings) -> Intake:
    return Intake(
        line=Line(limit=settings.max_waiting, batch=settings.max_batch),
        admission=Admission(Bounds(most=settings.max_waiting, unhurried_s=settings.calm_latency_ms / 1000)),
        patience=Patience(slow_run_s=settings.slow_run_ms / 1000, failures=settings.failures_in_a_row),
    )


def _server(
    settings: InferenceSettings, scoring: ScoringServicer, open_inference: OpenInference, metrics: Metrics
) -> GrpcServer:
    return GrpcServer(
        scoring,
        OpenInferenceServicer(open_inference),
        metrics,
        address=f"{settings.grpc_host}:{settings.grpc_port}",
        reuse_port=settings.grpc_reuse_port,
        calls_per_connection=settings.grpc_calls_per_connection,
    )


@asynccontextmanager
async def _rest(
    service: Service, settings: InferenceSettings, plane: OpenInference, metrics: Metrics
) -> AsyncIterator[None]:
    """Serve REST beside the body, where it is asked for."""
    if not settings.rest_port:
        yield
        return
    # What a process without REST does not need is not imported.
    from inference.adapters.http_server import serving_until  # noqa: PLC0415
    from inference.adapters.rest import create_app  # noqa: PLC0415

    async with serving_until(
        service.stop,
        create_app(plane, metrics),
        host=settings.grpc_host,
        port=settings.rest_port,
        reuse_port=settings.grpc_reuse_port,
        notice_s=settings.drain_seconds,
        grace_s=_GRACE_SECONDS,
    ):
        service.log.info("rest listening", rest_port=settings.rest_port)
        yield


async def _announce(
    service: Service,
    server: GrpcServer,
    feed: RouteFeed,
    table: RouteTable[ServedModel],
    rows: GuardedRows,
    herald: Herald,
) -> None:
    """Say that requests are welcome once every route was read, is warm and was said to be followed.

    From then on it stands: whoever changes a route waits for every replica that answers by it.

    A route that is refused later must not take a whole fleet out of service: what was warm serves on.
    """
    announced = asyncio.Event()

    def why_not() -> str | None:
        if announced.is_set():
            return None
        return feed.not_ready_because or "is still getting warm"

    service.health.watch("routes", why_not)
    await feed.go_live()
    await table.all_warm()
    await rows.tried()
    await herald.heard()
    announced.set()
    await server.set_serving(serving=True)
    service.log.info("ready", models=sorted(table.loaded))
