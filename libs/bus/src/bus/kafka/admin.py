"""Topic administration on Kafka."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

from bus.errors import Unavailable
from bus.positions import TopicPartition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

_MOST_REPLICAS: Final = 3
_READY_WITHIN_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05
# Of an entry of DescribeConfigs: where its source stands, and what says that it was set on the topic itself.
_SOURCE: Final = 3
_SET_ON_TOPIC: Final = 1


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What to create."""

    name: str
    partitions: int
    configs: Mapping[str, str]


@asynccontextmanager
async def admin_client(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Open an admin client; every Kafka error inside becomes `Unavailable`."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await client.start()
        yield client
    except (KafkaError, OSError, TimeoutError) as error:
        raise Unavailable(f"Kafka at {bootstrap}: {error!r}") from error
    finally:
        await client.close()


async def create_topics(bootstrap: str, specs: Sequence[TopicSpec]) -> None:
    """Create what is missing and wait until every partition has a leader.

    Raises:
        Unavailable: the broker is away, refused, or elected no leaders in time.
    """
    async with admin_client(bootstrap) as client:
        existing = set(await client.list_topics())
        missing = [spec for spec in specs if spec.name not in existing]
        if missing:
            await _create(client, missing)
        async with asyncio.timeout(_READY_WITHIN_SECONDS):
            await _wait_for_leaders(client, [spec.name for spec in specs])


async def _create(client: AIOKafkaAdminClient, specs: Sequence[TopicSpec]) -> None:
    brokers = (await client.describe_cluster())["brokers"]
    replicas = min(_MOST_REPLICAS, len(brokers))
    response = await client.create_topics(
        [NewTopic(s.name, s.partitions, replicas, topic_configs=dict(s.configs)) for s in specs]
    )
    for name, code, *detail in response.topic_errors:
        error = for_code(code)
        # Somebody else created it between our look and our request: as good as ours.
        if error not in (NoError, TopicAlreadyExistsError):
            raise Unavailable(f"could not create topic {name}: {error.__name__} {detail}")


async def _wait_for_leaders(client: AIOKafkaAdminClient, names: Collection[str]) -> None:
    while True:
        topics = await client.describe_topics(list(names))
        if all(topic["error_code"] == 0 and _led(topic["partitions"]) for topic in topics):
            return
        await asyncio.sleep(_POLL_SECONDS)


def _led(partitions: Sequence[Mapping[str, int]]) -> bool:
    return bool(partitions) and all(partition["leader"] >= 0 for partition in partitions)


async def committed_offsets(bootstrap: str, group: str) -> dict[TopicPartition, int]:
    """Ask for a group's committed offsets, by partition; empty when it never committed.

    Raises:
        Unavailable: the broker is away, or does not know the group's coordinator yet.
    """
    async with admin_client(bootstrap) as client:
        offsets = await client.list_consumer_group_offsets(group)
    return {TopicPartition(*where): found.offset for where, found in offsets.items() if found.offset >= 0}


async def offsets_by_group(bootstrap: str) -> dict[str, dict[TopicPartition, int]]:
    """Ask for the committed offsets of every group that the cluster knows.

    Raises:
        Unavailable: the broker is away.
    """
    async with admin_client(bootstrap) as client:
        groups = sorted(name for name, _ in await client.list_consumer_groups())
        found = {group: await client.list_consumer_group_offsets(group) for group in groups}
    return {
        group: {TopicPartition(*where): one.offset for where, one in offsets.items() if one.offset >= 0}
        for group, offsets in found.items()
    }


async def groups_with_members(bootstrap: str, groups: Sequence[str]) -> set[str]:
    """Ask which of these groups have members.

    Raises:
        Unavailable: the broker is away.
    """
    async with admin_client(bootstrap) as client:
        responses = await client.describe_consumer_groups(list(groups)) if groups else []
    # A group's error, name, state, protocol type, protocol and members.
    return {one[1] for response in responses for one in response.groups if one[5]}


async def topic_configs(bootstrap: str, topics: Sequence[str]) -> dict[str, dict[str, str]]:
    """Ask for the settings of topics, by name.

    Raises:
        Unavailable: the broker is away.
    """
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
    async with admin_client(bootstrap) as client:
        responses = await client.describe_configs(resources) if resources else []
    return {
        name: {entry[0]: entry[1] for entry in entries}
        for response in responses
        for _, _, _, name, entries in response.resources
    }


async def set_retention(bootstrap: str, retention_ms: Mapping[str, int]) -> None:
    """Set how long topics keep their records; their other settings stay.

    A record's segment is closed after a tenth of that, for Kafka deletes whole segments: so a record is gone
    a tenth later at most.

    Raises:
        Unavailable: the broker is away, or refused.
    """
    if not retention_ms:
        return
    own = await _own_configs(bootstrap, list(retention_ms))
    resources = [
        ConfigResource(
            ConfigResourceType.TOPIC,
            topic,
            own[topic] | {"retention.ms": str(kept_ms), "segment.ms": str(max(kept_ms // 10, 1))},
        )
        for topic, kept_ms in retention_ms.items()
    ]
    async with admin_client(bootstrap) as client:
        for response in await client.alter_configs(resources):
            for code, detail, _, name in response.resources:
                if for_code(code) is not NoError:
                    error = for_code(code).__name__
                    raise Unavailable(f"could not set the retention of {name}: {error} {detail}")


async def _own_configs(bootstrap: str, topics: Sequence[str]) -> dict[str, dict[str, str]]:
    """Ask for what was set on topics themselves: setting one thing sets all, and would take back the rest."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
    async with admin_client(bootstrap) as client:
        responses = await client.describe_configs(resources)
    return {
        name: {entry[0]: entry[1] for entry in entries if entry[_SOURCE] == _SET_ON_TOPIC}
        for response in responses
        for _, _, _, name, entries in response.resources
    }
