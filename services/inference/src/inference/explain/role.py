"""`python -m inference --role explain`, put together from what `ExplainOutside` gives."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from bus.follow import Follower
from bus.kafka.tail import KafkaTail
from bus.producer import KafkaPublisher
from bus.runner import Batching, ConsumerRunner
from bus.topics import MODELS_REGISTERED, PREDICTIONS_EXPLAINED, PREDICTIONS_MADE, ROUTES_CHANGED
from model_package import PackageStore

from inference.background import running
from inference.explain.asking import Asking, answer
from inference.explain.explainer import Explainer, Limits
from inference.explain.handlers import DecisionExplainer
from inference.explain.lake import LakePredictions
from inference.explain.metrics import ExplainMetrics
from inference.explain.predictions import Predictions, RecentPredictions, RecentTail
from inference.explain.server import ExplainServicer, explain_door
from inference.explain.versions import KnownVersions
from inference.explain.vocabulary import Vocabulary
from inference.explain.wire import prediction_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from bus.follow import Tail
    from bus.producer import Publisher
    from bus.runner import Handler
    from feature_store import Project
    from model_package import Packages
    from service_kit import Service
    from service_kit.grpc_door import GrpcDoor

    from inference.explain.predictions import OlderPredictions
    from inference.explain.settings import ExplainSettings

GROUP: Final = "inference-explain"
TOPICS: Final = (MODELS_REGISTERED, ROUTES_CHANGED, PREDICTIONS_MADE, PREDICTIONS_EXPLAINED)
_GRACE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOutside:
    """What explaining reaches the world through.

    Attributes:
        registered: The topic of registered versions.
        routes: The routes topic.
        predictions: The predictions topic.
        packages: Where packages are.
        older: Predictions that are no longer at hand.
        publisher: Says what was explained.
        consume: Feeds a handler with predictions.
    """

    registered: Tail
    routes: Tail
    predictions: Tail
    packages: Packages
    older: OlderPredictions
    publisher: Publisher
    consume: Callable[[Handler], ConsumerRunner]


async def run_explaining(
    service: Service,
    settings: ExplainSettings,
    project: Project | None,
    ensured: Coroutine[Any, Any, None],
) -> None:
    """Explain on real clients; `ensured` makes the topics."""
    bootstrap = settings.kafka_bootstrap_servers
    publisher = KafkaPublisher(bootstrap, client_id=GROUP)

    def consume(handler: Handler) -> ConsumerRunner:
        return ConsumerRunner(
            bootstrap=bootstrap,
            group=GROUP,
            topics=[PREDICTIONS_MADE.name],
            handler=handler,
            batching=Batching(max_records=settings.explain_batch),
            publisher=publisher,
            service=GROUP,
            stack=settings.tidemark_stack,
        )

    def tail(topic: str) -> Tail:
        return KafkaTail(bootstrap, topic, client_id=f"{GROUP}-tail")

    async with AsyncExitStack() as clients:
        clients.push_async_callback(publisher.close)
        outside = ExplainOutside(
            registered=tail(MODELS_REGISTERED.name),
            routes=tail(ROUTES_CHANGED.name),
            predictions=RecentTail(tail(PREDICTIONS_MADE.name), settings.explain_window),
            packages=PackageStore(settings.packages_uri),
            older=LakePredictions(settings.lake_uri),
            publisher=publisher,
            consume=consume,
        )
        await clients.enter_async_context(running(ensured))
        await explain(
            service, settings, project, outside, lambda port: service.log.info("listening", grpc_port=port)
        )


async def explain(
    service: Service,
    settings: ExplainSettings,
    project: Project | None,
    outside: ExplainOutside,
    on_listening: Callable[[int], None],
) -> None:
    """Explain over gRPC, and by policy, until stopped; `on_listening` is told the port."""
    metrics = ExplainMetrics(service.metrics)
    limits = Limits(settings.explain_seconds, settings.explain_waiting, settings.explain_kept)
    explainer = Explainer(outside.packages, limits, metrics)
    versions = KnownVersions(service.log)
    recent = RecentPredictions(settings.explain_window, prediction_of)
    metrics.watch_window(lambda: len(recent))
    topics = _Topics(outside, versions, recent)
    asking = Asking(explainer, versions, Vocabulary(project))
    policies = asking.vocabulary.policies
    handler = DecisionExplainer(asking, policies, topics.versions_caught_up, outside.publisher, metrics)
    predictions = Predictions(recent, topics.window.caught_up, outside.older, settings.explain_waiting)
    door = explain_door(
        ExplainServicer(partial(answer, asking=asking, predictions=predictions), metrics),
        f"{settings.grpc_host}:{settings.grpc_port}",
    )
    service.health.watch("versions", versions.lacking)
    service.health.watch("window", lambda: topics.window.not_ready_because)
    async with running(*topics.followed(service.stop), _give_up_late(service, explainer)):
        on_listening(await door.start())
        async with running(_announce(service, door, topics, explainer)):
            await _until_stopped(service, outside, handler if policies else None)
        await door.stop(_GRACE_SECONDS)
    explainer.close()
    predictions.close()


class _Topics:
    """The topics that are followed: those of versions whole, that of predictions from near its end."""

    def __init__(self, outside: ExplainOutside, versions: KnownVersions, recent: RecentPredictions) -> None:
        self._registered = Follower(outside.registered, versions.on_registered)
        self._routes = Follower(outside.routes, versions.on_route)
        self.window = Follower(outside.predictions, recent.on_event)
        versions.lacking = lambda: self._registered.not_ready_because or self._routes.not_ready_because

    def followed(self, stop: asyncio.Event) -> tuple[Coroutine[Any, Any, None], ...]:
        """What follows them until `stop`."""
        return self._registered.run(stop), self._routes.run(stop), self.window.run(stop)

    async def read_once(self) -> None:
        """Return when all that was there at the start has been read."""
        for follower in (self._registered, self._routes, self.window):
            await follower.read_once()

    async def versions_caught_up(self) -> None:
        """Return when every version that is published now is known.

        Raises:
            Unavailable: That cannot be known now.
        """
        await self._registered.caught_up()
        await self._routes.caught_up()


async def _announce(service: Service, door: GrpcDoor, topics: _Topics, explainer: Explainer) -> None:
    await explainer.warm()
    await topics.read_once()
    await door.set_serving(serving=True)
    service.log.info("ready")


async def _give_up_late(service: Service, explainer: Explainer) -> None:
    """Let no slow model hold up a stop."""
    await service.stop.wait()
    await asyncio.sleep(_GRACE_SECONDS)
    explainer.close()


async def _until_stopped(
    service: Service, outside: ExplainOutside, handler: DecisionExplainer | None
) -> None:
    """Wait for the stop; where a model has a policy, explaining its decisions meanwhile."""
    if handler is None:
        await service.stop.wait()
        return
    runner = outside.consume(handler)
    service.health.watch("consumer", lambda: runner.not_ready_because)
    await runner.run(service.stop)
