"""The real servers that tests use: started when a test first asks for them, stopped when the session ends.

Addresses in KAFKA_BOOTSTRAP_SERVERS and REDIS_URL are used instead, when they are set. Tests share the
servers: each uses topics, groups and key prefixes of its own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import settings
from local_stack import LocalStack, ValkeyOptions, open_stack

# How long an example takes says how busy the machine is.
settings.register_profile("tidemark", deadline=None)
settings.load_profile("tidemark")

StartStack = Callable[..., Awaitable[LocalStack]]


@pytest.fixture(scope="session")
async def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a Kafka broker, for the whole session."""
    async with open_stack(tmp_path_factory.mktemp("kafka"), valkey=None) as stack:
        assert stack.kafka_bootstrap is not None
        yield stack.kafka_bootstrap


@pytest.fixture(scope="session")
async def redis_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The URL of a single Valkey, for the whole session."""
    async with open_stack(tmp_path_factory.mktemp("valkey"), kafka=None) as stack:
        assert stack.redis_url is not None
        yield stack.redis_url


@pytest.fixture(scope="session")
async def redis_cluster_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The URL of one node of a Valkey cluster of three masters, for the whole session."""
    async with LocalStack(
        tmp_path_factory.mktemp("valkey-cluster"), kafka=None, valkey=ValkeyOptions(nodes=3)
    ) as stack:
        yield stack.redis_url


@pytest.fixture
async def own_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StartStack]:
    """Start stacks that belong to one test, which may kill, pause, stop and start their servers.

    `stack = await own_stack()`; `kafka=None` or `valkey=None` leaves one out; every argument goes to
    LocalStack.
    """
    stacks: list[LocalStack] = []

    async def start(**options: Any) -> LocalStack:
        stack = LocalStack(options.pop("folder", None) or tmp_path_factory.mktemp("own-stack"), **options)
        stacks.append(stack)
        await stack.start()
        return stack

    yield start
    for stack in stacks:
        await stack.stop()
