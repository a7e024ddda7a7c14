"""`python -m inference --role stream`, put together from what `StreamOutside` gives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from inference.adapters.kafka import ScoringConsumer
from inference.adapters.redis import GuardedRows, PatientRows
from inference.clocks import stopwatch_s
from inference.domain.breaker import Breaker
from inference.metrics import Metrics
from inference.routes.answering import answering
from inference.routes.feed import RouteFeed, herald_of
from inference.routes.readiness import nobody
from inference.routes.table import RouteTable
from inference.stream.handlers import on_scoring_requested
from inference.stream.pacing import Pacer

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.follow import Tail
    from bus.producer import Publisher
    from bus.runner import ConsumerRunner
    from bus.transactions import Answering
    from feature_store import Project
    from model_package import Packages
    from service_kit import Service

    from inference.adapters.redis import Connect
    from inference.routes.readiness import WhoKeeps
    from inference.routes.serving import ServedModel
    from inference.settings import InferenceSettings

_LOOK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOutside:
    """What scoring events reaches the world through.

    Attributes:
        routes: The routes topic.
        packages: Where packages are.
        open_rows: Connects to the feature rows.
        publisher: Says which routes are followed.
        consume: Feeds a handler with requests, and publishes its answers with their offsets.
        who_keeps: Asks which versions of views are kept up to date.
    """

    routes: Tail
    packages: Packages
    open_rows: Connect
    publisher: Publisher
    consume: Callable[[Answering], ConsumerRunner]
    who_keeps: WhoKeeps = nobody


async def stream(
    service: Service, settings: InferenceSettings, project: Project, outside: StreamOutside
) -> None:
    """Score requests that come as events until stopped."""
    metrics = Metrics(service.metrics)
    herald = herald_of(settings, outside.publisher, "stream")
    table: RouteTable[ServedModel] = RouteTable(
        **answering(settings, project, outside.packages, outside.who_keeps),
        herald=herald,
        metrics=metrics,
        log=service.log,
    )
    feed = RouteFeed(service, outside.routes, table, herald, retry_seconds=settings.retry_refused_seconds)
    rows = GuardedRows(outside.open_rows, Breaker(), metrics, service.log)
    score = partial(
        on_scoring_requested,
        routes=table,
        caught_up=feed.caught_up,
        rows=PatientRows(rows),
        metrics=metrics,
        now_s=stopwatch_s,
    )
    runner = outside.consume(ScoringConsumer(score))
    pacer = Pacer(
        runner,
        metrics,
        stopwatch_s,
        batch=settings.stream_max_batch,
        capacity_per_second=settings.stream_capacity_per_second,
        drain_seconds=settings.stream_drain_seconds,
    )
    service.health.watch("routes", lambda: feed.not_ready_because)
    await feed.consume(runner, pacer.run(_LOOK_SECONDS), rows.run())
