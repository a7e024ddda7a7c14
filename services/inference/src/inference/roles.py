"""The three roles, put together from what `Outside` gives: `__main__` gives clients, tests give memory."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from bus.follow import Follower
from feature_store.concealment import Concealment
from feature_store.secret_file import pseudonyms_for

from inference.adapters.grpc import GrpcServer, ScoringServicer
from inference.adapters.heap import give_back
from inference.adapters.kafka import (
    KafkaPredictionLog,
    RouteFollowings,
    RouteListener,
    ScoringConsumer,
    ShadowConsumer,
)
from inference.adapters.open_inference import OpenInferenceServicer
from inference.adapters.redis import GuardedRows, PatientRows
from inference.bounded import BoundedRouteTable
from inference.clocks import stopwatch_s, wall_clock_us
from inference.domain.admission import Admission, Bounds
from inference.domain.batching import Line
from inference.domain.breaker import Breaker
from inference.domain.conduct import Patience
from inference.domain.warmth import WarmModels
from inference.following import Herald
from inference.given import GivenVectors
from inference.handlers import on_predictions_made, shadows_from
from inference.lanes import Intake
from inference.metrics import Metrics
from inference.open_inference import OpenInference
from inference.pacing import Pacer
from inference.plane import ScoringPlane
from inference.readiness import ReadyVersions, nobody
from inference.routing import RouteTable, arms_of, shadows_of
from inference.serving import ServedModels
from inference.streaming import on_scoring_requested
from inference.versions import PackageVersions, any_contract
from inference.waking import WakingPlane

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from bus.buffered import BufferedPublisher
    from bus.follow import Tail
    from bus.producer import Publisher
    from bus.runner import ConsumerRunner, Handler
    from bus.transactions import Answering
    from feature_store import Project
    from model_package import Packages
    from service_kit import Service

    from inference.adapters.redis import Connect
    from inference.readiness import WhoKeeps
    from inference.serving import ServedModel
    from inference.settings import InferenceSettings

_GRACE_SECONDS: Final = 10.0
_GOODBYE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 5.0


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
    pseudonyms = pseudonyms_for(project, settings.privacy_key_file)
    models = ServedModels(project, Concealment.of(project, pseudonyms))
    herald = _herald(settings, outside.now, "serve")
    table, tending = _table(
        settings.model_memory_mb * 1_000_000,
        versions=ReadyVersions(
            PackageVersions(outside.packages, models.contract_hash), project, outside.who_keeps
        ),
        needs=arms_of,
        build=models.build,
        herald=herald,
        metrics=metrics,
        log=service.log,
    )
    listener = RouteListener(table, service.log)
    follower = Follower(outside.routes, listener)
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
    open_inference = OpenInference(
        routes=table,
        plane=plane,
        given=GivenVectors(plane, stopwatch_s),
        is_ready=lambda: service.health.ready and not service.stop.is_set(),
        wall_clock_us=wall_clock_us,
        new_id=_new_id,
    )
    server = _server(settings, plane, open_inference, metrics)
    background = (
        rows.run(),
        follower.run(service.stop),
        _retry_refused(table, settings.retry_refused_seconds),
        herald.run(),
    )
    async with running(*background, *tending), _rest(service, settings, open_inference, metrics):
        on_listening(await server.start())
        async with running(_announce(service, server, follower, listener, table, rows, herald)):
            await service.stop.wait()
        await server.drain(settings.drain_seconds, _GRACE_SECONDS)
    plane.close()
    predictions.close()
    await herald.leave(_GOODBYE_SECONDS)


async def shadow(
    service: Service,
    settings: InferenceSettings,
    *,
    routes: Tail,
    packages: Packages,
    publisher: Publisher,
    consume: Callable[[Handler], ConsumerRunner],
) -> None:
    """Score logged vectors with the shadows of their routes until stopped; `consume` feeds the handler."""
    metrics = Metrics(service.metrics)
    herald = _herald(settings, publisher, "shadow")
    table = RouteTable(
        versions=PackageVersions(packages, any_contract),
        needs=shadows_of,
        build=shadows_from,
        herald=herald,
        metrics=metrics,
        log=service.log,
    )
    listener = RouteListener(table, service.log)
    follower = Follower(routes, listener)
    score = partial(
        on_predictions_made, routes=table, caught_up=follower.caught_up, metrics=metrics, now_s=stopwatch_s
    )
    runner = consume(ShadowConsumer(score, publisher))
    service.health.watch("routes", lambda: follower.not_ready_because)
    service.health.watch("consumer", lambda: runner.not_ready_because)
    background = (
        follower.run(service.stop),
        _retry_refused(table, settings.retry_refused_seconds),
        herald.run(),
    )
    async with running(*background):
        # A prediction consumed before its route is known would go without its shadows.
        if await _first(follower.read_once(), service.stop):
            await listener.go_live()
            await runner.run(service.stop)
    await herald.leave(_GOODBYE_SECONDS)


async def stream(  # noqa: PLR0913 - one keyword a part of the world
    service: Service,
    settings: InferenceSettings,
    project: Project,
    *,
    routes: Tail,
    packages: Packages,
    open_rows: Connect,
    publisher: Publisher,
    consume: Callable[[Answering], ConsumerRunner],
    who_keeps: WhoKeeps = nobody,
) -> None:
    """Score requests that come as events until stopped; `consume` feeds the handler, and publishes."""
    metrics = Metrics(service.metrics)
    models = ServedModels(
        project, Concealment.of(project, pseudonyms_for(project, settings.privacy_key_file))
    )
    herald = _herald(settings, publisher, "stream")
    table = RouteTable(
        versions=ReadyVersions(PackageVersions(packages, models.contract_hash), project, who_keeps),
        needs=arms_of,
        build=models.build,
        herald=herald,
        metrics=metrics,
        log=service.log,
    )
    listener = RouteListener(table, service.log)
    follower = Follower(routes, listener)
    rows = GuardedRows(open_rows, Breaker(), metrics, service.log)
    score = partial(
        on_scoring_requested,
        routes=table,
        caught_up=follower.caught_up,
        rows=PatientRows(rows),
        metrics=metrics,
        now_s=stopwatch_s,
    )
    runner = consume(ScoringConsumer(score))
    pacer = Pacer(
        runner,
        metrics,
        stopwatch_s,
        batch=settings.stream_max_batch,
        capacity_per_second=settings.stream_capacity_per_second,
        drain_seconds=settings.stream_drain_seconds,
    )
    service.health.watch("routes", lambda: follower.not_ready_because or table.lacking)
    service.health.watch("consumer", lambda: runner.not_ready_because)
    background = (
        pacer.run(_LOOK_SECONDS),
        rows.run(),
        follower.run(service.stop),
        _retry_refused(table, settings.retry_refused_seconds),
        herald.run(),
    )
    async with running(*background):
        # A request consumed before its route is known would be refused.
        if await _first(follower.read_once(), service.stop):
            await listener.go_live()
            await runner.run(service.stop)
    await herald.leave(_GOODBYE_SECONDS)


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


def _herald(settings: InferenceSettings, publisher: Publisher, role: str) -> Herald:
    announce = RouteFollowings(
        publisher,
        replica=f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}",
        role=role,
        beat_seconds=settings.follow_beat_seconds,
        now_us=wall_clock_us,
    )
    return Herald(announce, wall_clock_us, settings.follow_beat_seconds)


async def _first(awaited: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Wait for something, unless `stop` comes first; tells whether it came."""
    waiting = [asyncio.ensure_future(awaited), asyncio.ensure_future(stop.wait())]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()
    return not stop.is_set()


def _intake(settings: InferenceSettings) -> Intake:
    return Intake(
        line=Line(limit=settings.max_waiting, batch=settings.max_batch),
        admission=Admission(Bounds(most=settings.max_waiting, unhurried_s=settings.calm_latency_ms / 1000)),
        patience=Patience(slow_run_s=settings.slow_run_ms / 1000, failures=settings.failures_in_a_row),
    )


def _new_id() -> str:
    return os.urandom(16).hex()


def _server(
    settings: InferenceSettings, plane: ScoringPlane, open_inference: OpenInference, metrics: Metrics
) -> GrpcServer:
    servicer = ScoringServicer(plane, metrics, wall_clock_us=wall_clock_us, new_id=_new_id)
    return GrpcServer(
        servicer,
        OpenInferenceServicer(open_inference),
        metrics,
        host=settings.grpc_host,
        port=settings.grpc_port,
        reuse_port=settings.grpc_reuse_port,
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
        grace_s=_GRACE_SECONDS,
    ):
        service.log.info("rest listening", rest_port=settings.rest_port)
        yield


async def _announce(
    service: Service,
    server: GrpcServer,
    follower: Follower,
    listener: RouteListener,
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
        return follower.not_ready_because or table.lacking or "is still getting warm"

    service.health.watch("routes", why_not)
    await follower.read_once()
    await listener.go_live()
    await table.all_warm()
    await rows.tried()
    await herald.heard()
    announced.set()
    await server.set_serving(serving=True)
    service.log.info("ready", models=sorted(table.loaded))


async def _retry_refused(table: RouteTable[Any], every_seconds: float) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        await table.retry_refused()


@asynccontextmanager
async def running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run work beside the body, and cancel what is left of it afterwards; a failure of any ends all."""
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(one) for one in work]
        try:
            yield
        finally:
            for task in started:
                task.cancel()
