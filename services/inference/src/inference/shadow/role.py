"""`python -m inference --role shadow`, put together from what it is given."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from inference.adapters.kafka import ShadowConsumer
from inference.clocks import stopwatch_s
from inference.metrics import Metrics
from inference.routes.feed import RouteFeed, herald_of
from inference.routes.table import RouteTable, shadows_of
from inference.routes.versions import PackageVersions, any_contract
from inference.shadow.handlers import on_predictions_made, shadows_from

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.follow import Tail
    from bus.producer import Publisher
    from bus.runner import ConsumerRunner, Handler
    from model_package import Packages
    from service_kit import Service

    from inference.settings import InferenceSettings


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
    herald = herald_of(settings, publisher, "shadow")
    table = RouteTable(
        versions=PackageVersions(packages, any_contract),
        needs=shadows_of,
        build=shadows_from,
        herald=herald,
        metrics=metrics,
        log=service.log,
    )
    feed = RouteFeed(service, routes, table, herald, retry_seconds=settings.retry_refused_seconds)
    score = partial(
        on_predictions_made, routes=table, caught_up=feed.caught_up, metrics=metrics, now_s=stopwatch_s
    )
    # A shadow that cannot be loaded takes nobody's score away.
    service.health.watch("routes", lambda: feed.not_read_because)
    await feed.consume(consume(ShadowConsumer(score, publisher)))
