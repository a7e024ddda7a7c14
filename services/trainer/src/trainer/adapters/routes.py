"""Who is champion now, from the routes topic."""

import asyncio
from contextlib import suppress

from bus.errors import Unavailable
from bus.follow import Follower
from bus.kafka.tail import KafkaTail
from bus.received import Received
from bus.topics import ROUTES_CHANGED, ensure_topics
from google.protobuf.message import DecodeError
from model_package import PackageError, Packages
from tidemark.registry.v1.route_pb2 import RouteChanged
from tidemark.scoring.v1.prediction_pb2 import ROLE_CHAMPION

from trainer.judging import Champion


async def champion_of(model: str, bootstrap: str, packages: Packages, *, within_s: float) -> Champion | None:
    """Read the model's champion and open its package; None when the model has no route.

    Raises:
        Unavailable: Kafka did not tell in time.
    """
    await ensure_topics(bootstrap, [ROUTES_CHANGED])
    newest = _NewestRoute(model)
    follower = Follower(KafkaTail(bootstrap, ROUTES_CHANGED.name, client_id="trainer-routes"), newest)
    stop = asyncio.Event()
    following = asyncio.ensure_future(follower.run(stop))
    try:
        async with asyncio.timeout(within_s):
            await follower.read_once()
    except TimeoutError:
        raise Unavailable(f"Kafka at {bootstrap} did not tell the routes within {within_s:g} s") from None
    finally:
        stop.set()
        with suppress(asyncio.CancelledError):
            await following
    return None if newest.route is None else _champion(newest.route, packages)


class _NewestRoute:
    """Keeps the newest route of one model."""

    def __init__(self, model: str) -> None:
        self._model = model
        self.route: RouteChanged | None = None

    async def __call__(self, received: Received) -> None:
        if received.event.key != self._model.encode():
            return
        # What cannot be read is no route; who follows routes says so.
        with suppress(DecodeError):
            self.route = None if received.event.tombstone else RouteChanged.FromString(received.event.data)


def _champion(route: RouteChanged, packages: Packages) -> Champion | None:
    named = [arm.version for arm in route.arms if arm.role == ROLE_CHAMPION]
    if not named:
        return None
    try:
        return Champion(named[0].version, packages.open(named[0].package_uri, named[0].digest))
    except (PackageError, OSError) as error:
        return Champion(named[0].version, None, str(error))
