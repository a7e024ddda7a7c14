"""Asking a server, in its own protocol, whether it is ready."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

_TIMEOUT_SECONDS = 3.0
ASK_AGAIN_SECONDS = 0.05
Answer = TypeVar("Answer")
_GROUP_COORDINATOR, _TRANSACTION_COORDINATOR = 0, 1


class NotReadyError(Exception):
    """A server does not answer as it should, yet; says how."""


async def answer_within(seconds: float, ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask until there is an answer, and return it.

    Raises:
        NotReadyError: There was none in time; says what the last was.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + seconds
    while True:
        try:
            return await ask()
        except NotReadyError as error:
            if loop.time() > ends_at:
                raise NotReadyError(f"not ready within {seconds:g} s: {error}") from error
        await asyncio.sleep(ASK_AGAIN_SECONDS)


async def ask_kafka(bootstrap: str, *, coordinators: bool = False) -> str:
    """Return the id of the cluster that answers at a bootstrap address and has a broker.

    Args:
        bootstrap: One or several `host:port`, separated by commas.
        coordinators: Ask for the coordinators of groups and transactions too. A new broker makes their topics
            at the first request; having asked, the first consumer does not meet errors.

    Raises:
        NotReadyError: It does not answer so.
    """
    await _reach_any(bootstrap)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=int(_TIMEOUT_SECONDS * 1000))
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
        if coordinators:
            await admin.find_coordinator("readiness", _GROUP_COORDINATOR)
            await admin.find_coordinator("readiness", _TRANSACTION_COORDINATOR)
    except (KafkaError, OSError) as error:
        raise NotReadyError(f"{type(error).__name__} from {bootstrap}") from error
    finally:
        with suppress(KafkaError, OSError):
            await admin.close()
    if not cluster["brokers"]:
        raise NotReadyError(f"the cluster at {bootstrap} has no broker")
    return str(cluster["cluster_id"])


async def ask_valkey(url: str) -> int:
    """Return the process id of the server that answers PING at a URL.

    Raises:
        NotReadyError: None does, or it is still loading its data.
    """
    async with valkey_client(url) as client:
        await client.ping()
        return int((await client.info("server"))["process_id"])


@asynccontextmanager
async def valkey_client(url: str) -> AsyncIterator[Any]:
    """Open a client that tries once; every failure to answer becomes NotReadyError."""
    client = _client(url)
    try:
        yield client
    except (RedisError, OSError) as error:
        raise NotReadyError(f"{type(error).__name__} from {without_password(url)}: {error}") from error
    finally:
        await client.aclose()


def _client(url: str) -> Redis:
    try:
        return Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise NotReadyError(f"{without_password(url)!r} is not a Redis URL: {error}") from error


def without_password(url: str) -> str:
    """Return the URL as it may be shown."""
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


async def _reach_any(bootstrap: str) -> None:
    """Connect to one address first: aiokafka logs an error when all refuse, as a starting broker does."""
    reasons = []
    for address in bootstrap.split(","):
        try:
            return await _reach(address.strip())
        except NotReadyError as error:
            reasons.append(str(error))
    raise NotReadyError("; ".join(reasons))


async def _reach(address: str) -> None:
    try:
        target = urlsplit(f"//{address}")
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(target.hostname, target.port or 9092)
    except ValueError:
        raise NotReadyError(f"{address!r} is not host:port") from None
    except (OSError, TimeoutError):
        raise NotReadyError(f"nothing listens at {address}") from None
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
