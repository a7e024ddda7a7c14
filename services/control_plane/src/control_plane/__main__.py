"""`python -m control_plane`: serves REST, takes in what the loop says, publishes what was decided."""

import asyncio
import os
import secrets
import socket
from functools import partial

from bus.clocks import wall_clock_us
from bus.errors import Unavailable
from bus.follow import Follower
from bus.kafka.tail import KafkaTail
from bus.producer import KafkaPublisher
from bus.runner import ConsumerRunner
from bus.topics import (
    ALERTS_CHANGED,
    APPROVALS_DECIDED,
    AUDIT_RECORDED,
    PROGRESSED,
    ROLLOUTS_CHANGED,
    ROUTES_CHANGED,
    ROUTES_FOLLOWED,
    ensure_topics,
)
from model_package import PackageStore
from service_kit import Service, run
from service_kit.health import Check
from service_kit.settings import SettingsError

from control_plane.adapters.announcements import announce
from control_plane.adapters.following import Followers
from control_plane.adapters.http import Core, create_app, listen, serve
from control_plane.adapters.kafka import CONSUMED, Inbox
from control_plane.adapters.packages import StorePackages
from control_plane.adapters.sql import Database, SqlOutbox, SqlRegistry, UnusableUrl, migrate
from control_plane.relay import OutboxRelay
from control_plane.settings import Settings

_NAME = "control_plane"
_GROUP = "control-plane"
_RETRY_SECONDS = 1.0
_TOPICS = (
    *CONSUMED,
    ROUTES_CHANGED,
    ROLLOUTS_CHANGED,
    APPROVALS_DECIDED,
    ALERTS_CHANGED,
    AUDIT_RECORDED,
    ROUTES_FOLLOWED,
    PROGRESSED,
)


async def main(service: Service, settings: Settings, database: Database) -> None:
    """Builds the parts and runs them until the service is told to stop."""
    publisher = KafkaPublisher(settings.kafka_bootstrap_servers, client_id=_NAME)
    async with database:
        await _migrate(service, database)
        registry = SqlRegistry(database, announce=announce)
        packages = StorePackages(PackageStore(settings.packages_uri))
        outbox = SqlOutbox(database)
        relay = OutboxRelay(outbox=outbox, publisher=publisher, holder=_holder(), clock=wall_clock_us)
        followers = Followers(wall_clock_us)
        tail = KafkaTail(settings.kafka_bootstrap_servers, ROUTES_FOLLOWED.name, client_id=_NAME)
        follower = Follower(tail, followers.on_event)
        followers.caught_up = follower.caught_up
        core = Core(
            registry=registry,
            packages=packages,
            outbox=outbox,
            followers=followers,
            clock=wall_clock_us,
            committed=relay.wake,
        )
        runner = ConsumerRunner(
            bootstrap=settings.kafka_bootstrap_servers,
            group=_GROUP,
            topics=[topic.name for topic in CONSUMED],
            handler=Inbox(registry=registry, packages=packages, clock=wall_clock_us, settled=relay.settled),
            publisher=publisher,
            service=_NAME,
            stack=settings.tidemark_stack,
        )
        listener = listen(settings.http_port)
        service.log.info("serving", http_port=listener.getsockname()[1])
        service.health.watch("bus", _until_first_ready(runner))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(serve(create_app(core), listener, service.stop))
                tasks.create_task(relay.run(service.stop))
                tasks.create_task(follower.run(service.stop))
                tasks.create_task(_hear(service, follower, followers))
                tasks.create_task(_consume(service, settings.kafka_bootstrap_servers, publisher, runner))
        finally:
            await publisher.close()


async def _hear(service: Service, follower: Follower, followers: Followers) -> None:
    """Tells what was said before from what is heard as it is said."""
    reading = asyncio.ensure_future(follower.read_once())
    stopped = asyncio.ensure_future(service.stop.wait())
    await asyncio.wait((reading, stopped), return_when=asyncio.FIRST_COMPLETED)
    reading.cancel()
    stopped.cancel()
    followers.go_live()


async def _migrate(service: Service, database: Database) -> None:
    while not service.stop.is_set():
        try:
            await migrate(database)
        except Unavailable as error:
            service.log.warning("the database is away", reason=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


async def _consume(
    service: Service, bootstrap: str, publisher: KafkaPublisher, runner: ConsumerRunner
) -> None:
    """Connects to the bus, then consumes.

    REST is served meanwhile, for neither a registration nor a route waits for Kafka: a route's announcement
    waits in the outbox.
    """
    connected = False
    while not (connected or service.stop.is_set()):
        try:
            await ensure_topics(bootstrap, _TOPICS)
            await publisher.start()
            connected = True
        except Unavailable as error:
            service.log.warning("the bus is away", reason=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
    await runner.run(service.stop)


def _until_first_ready(runner: ConsumerRunner) -> Check:
    """Ready once the bus was joined: an outage of the bus later on must not take REST away."""
    joined = False

    def check() -> str | None:
        nonlocal joined
        joined = joined or runner.ready
        return None if joined else runner.not_ready_because

    return check


def _holder() -> str:
    """Names this process among all that ever share the outbox."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def _database(settings: Settings) -> Database:
    try:
        return Database(settings.database_url)
    except UnusableUrl as error:
        raise SettingsError(f"wrong settings: DATABASE_URL: {error}") from error


if __name__ == "__main__":
    settings = Settings()
    run(_NAME, settings, partial(main, settings=settings, database=_database(settings)))
