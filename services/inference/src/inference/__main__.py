"""`python -m inference`: scores over gRPC. `--role`: shadow, logged vectors; stream, events; explain, why."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

from bus.buffered import BufferedPublisher
from bus.errors import Unavailable
from bus.kafka.tail import KafkaTail
from bus.kafka.transactions import KafkaTransactions
from bus.producer import KafkaPublisher
from bus.runner import Batching, ConsumerRunner
from bus.topics import (
    PREDICTIONS_MADE,
    ROUTES_CHANGED,
    ROUTES_FOLLOWED,
    SCORING_REQUESTED,
    SHADOW_MADE,
    ensure_topics,
)
from feature_store import DefinitionError, MissingKey, Project, load_project
from feature_store.secret_file import pseudonyms_for
from model_package import PackageStore
from service_kit import Service, run

from inference.adapters.redis import open_rows, who_keeps
from inference.background import running
from inference.serve.role import Outside, serve
from inference.settings import InferenceSettings
from inference.shadow.role import shadow
from inference.stream.role import StreamOutside, stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.runner import Handler
    from bus.topics import Topic
    from bus.transactions import Answering

SHADOW_GROUP: Final = "inference-shadow"
STREAM_GROUP: Final = "inference-stream"
# grpc.aio leaves a cycle of five objects behind every call: 10,000 calls' worth are looked through for 50 ms
# while callers wait, 300 calls' for half of one (docs/adr/0037-collecting-often.md).
_COLLECT_AFTER: Final = (1_500, 20, 50)
_TOPIC_RETRY_SECONDS: Final = 1.0
_TOPICS: Final = (ROUTES_CHANGED, ROUTES_FOLLOWED, SCORING_REQUESTED, PREDICTIONS_MADE, SHADOW_MADE)


async def run_serving(service: Service, settings: InferenceSettings, project: Project) -> None:
    """Serve on real clients. Each connects when first needed: neither start nor scoring waits for one."""
    bootstrap = settings.kafka_bootstrap_servers
    later = KafkaPublisher(bootstrap, client_id="inference-predictions")
    now = KafkaPublisher(bootstrap, client_id="inference-durable")
    async with AsyncExitStack() as clients:
        clients.push_async_callback(now.close)
        buffered = await clients.enter_async_context(
            BufferedPublisher(later, name="inference-predictions", max_events=settings.prediction_buffer)
        )
        outside = Outside(
            routes=KafkaTail(bootstrap, ROUTES_CHANGED.name, client_id="inference-routes"),
            packages=PackageStore(settings.packages_uri),
            open_rows=partial(open_rows, settings.redis_url, settings.redis_deadline_ms / 1000),
            later=buffered,
            now=now,
            who_keeps=partial(who_keeps, settings.redis_url),
        )
        await clients.enter_async_context(running(_ensure_topics(service, bootstrap)))
        await serve(
            service, settings, project, outside, lambda port: service.log.info("listening", grpc_port=port)
        )


async def run_shadow(service: Service, settings: InferenceSettings) -> None:
    """Score in the shadow on real clients."""
    bootstrap = settings.kafka_bootstrap_servers
    publisher = KafkaPublisher(bootstrap, client_id=SHADOW_GROUP)

    def consume(handler: Handler) -> ConsumerRunner:
        return ConsumerRunner(
            bootstrap=bootstrap,
            group=SHADOW_GROUP,
            topics=[PREDICTIONS_MADE.name],
            handler=handler,
            # Nobody waits for a shadow's answer: many are scored, published and committed at once.
            batching=Batching(max_wait_ms=settings.shadow_wait_ms),
            publisher=publisher,
            service=SHADOW_GROUP,
            stack=settings.tidemark_stack,
        )

    async with AsyncExitStack() as clients:
        clients.push_async_callback(publisher.close)
        await clients.enter_async_context(running(_ensure_topics(service, bootstrap)))
        await shadow(
            service,
            settings,
            routes=KafkaTail(bootstrap, ROUTES_CHANGED.name, client_id="inference-shadow-routes"),
            packages=PackageStore(settings.packages_uri),
            publisher=publisher,
            consume=consume,
        )


async def run_stream(service: Service, settings: InferenceSettings, project: Project) -> None:
    """Score events on real clients, each once."""
    bootstrap = settings.kafka_bootstrap_servers
    publisher = KafkaPublisher(bootstrap, client_id=STREAM_GROUP)
    transactions = KafkaTransactions(bootstrap, STREAM_GROUP)

    def consume(handler: Answering) -> ConsumerRunner:
        return ConsumerRunner(
            bootstrap=bootstrap,
            group=STREAM_GROUP,
            topics=[SCORING_REQUESTED.name],
            handler=handler,
            transactions=transactions,
            # A transaction costs much the same whatever it holds.
            batching=Batching(max_records=settings.stream_max_batch, max_wait_ms=settings.stream_wait_ms),
            publisher=publisher,
            service=STREAM_GROUP,
            stack=settings.tidemark_stack,
            # What callers send of a sensitive project is as they know it, not as it may be kept.
            concealed=[SCORING_REQUESTED.name] if project.is_sensitive else (),
        )

    async with AsyncExitStack() as clients:
        clients.push_async_callback(publisher.close)
        clients.push_async_callback(transactions.close)
        await clients.enter_async_context(running(_ensure_topics(service, bootstrap)))
        outside = StreamOutside(
            routes=KafkaTail(bootstrap, ROUTES_CHANGED.name, client_id="inference-stream-routes"),
            packages=PackageStore(settings.packages_uri),
            open_rows=partial(open_rows, settings.redis_url, settings.stream_redis_deadline_ms / 1000),
            publisher=publisher,
            consume=consume,
            who_keeps=partial(who_keeps, settings.redis_url),
        )
        await stream(service, settings, project, outside)


async def _ensure_topics(service: Service, bootstrap: str, topics: Sequence[Topic] = _TOPICS) -> None:
    while True:
        try:
            await ensure_topics(bootstrap, topics)
        except Unavailable as error:
            service.log.warning("topics not ensured yet", reason=str(error))
            await asyncio.sleep(_TOPIC_RETRY_SECONDS)
        else:
            return


def _run_explain() -> NoReturn:
    # The shap library takes seconds to import, and memory: only who explains has it.
    from inference.explain.role import TOPICS, run_explaining  # noqa: PLC0415
    from inference.explain.settings import ExplainSettings  # noqa: PLC0415

    settings = ExplainSettings()
    # Without a project there are no policies, and features are called by their names.
    project = _project(settings.tidemark_project) if settings.tidemark_project else None

    async def explain(service: Service) -> None:
        ensured = _ensure_topics(service, settings.kafka_bootstrap_servers, TOPICS)
        await run_explaining(service, settings, project, ensured)

    run("inference-explain", settings, explain)


def _project(name: str) -> Project:
    try:
        return load_project(name)
    except DefinitionError as error:
        sys.exit(f"inference: TIDEMARK_PROJECT={name!r} cannot be loaded: {error}")


def main() -> None:
    """Run one role until told to stop."""
    parser = argparse.ArgumentParser(prog="inference", description="Scores, fast and always.")
    parser.add_argument(
        "--role", choices=["serve", "shadow", "stream", "explain"], default="serve", help="default: serve"
    )
    role = parser.parse_args().role
    if role == "explain":
        _run_explain()
    settings = InferenceSettings()
    if role == "shadow":
        run("inference-shadow", settings, partial(run_shadow, settings=settings))
    project = _project(settings.tidemark_project)
    try:
        pseudonyms_for(project, settings.privacy_key_file)
    except MissingKey as error:
        sys.exit(f"inference: {error}")
    if role == "stream":
        run(STREAM_GROUP, settings, partial(run_stream, settings=settings, project=project))
    serving = partial(run_serving, settings=settings, project=project)
    run("inference", settings, serving, collect_after=_COLLECT_AFTER)


if __name__ == "__main__":
    main()
