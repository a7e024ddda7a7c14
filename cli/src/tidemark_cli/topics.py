"""`tidemark topics`: what there is, how much of it, and who is behind."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bus import inspect
from bus.inspect import TopicInfo
from bus.kafka.admin import offsets_by_group
from bus.positions import TopicPartition

from tidemark_cli.options import AsJson, Kafka, ask_kafka, reach_kafka
from tidemark_cli.output import print_json, print_table

Groups = Mapping[str, Mapping[TopicPartition, int]]


def topics(*, kafka: Kafka = None, as_json: AsJson = False) -> None:
    """List the topics: partitions, events, how long they are kept, who reads.

    The number of events is what the log holds at most: compaction leaves gaps.
    Beside each group that reads a topic is its lag: how many events it has not
    dealt with yet. (What every replica reads whole, such as routes, is read
    without a group.)

    For example:

        tidemark topics

        tidemark topics --json | jq -r '.[] | select(.events > 0) | .name'
    """
    reach = reach_kafka(kafka)
    found, groups = ask_kafka(_look(reach))
    if as_json:
        print_json([_as_json(topic, groups) for topic in found])
        return
    columns = ["topic", "partitions #", "events #", "kept", "message", "read by (lag)"]
    rows = [_row(topic, groups) for topic in found]
    print_table(
        columns, rows, empty="There is no topic yet: each service makes what it needs when it starts."
    )


async def _look(reach: str) -> tuple[list[TopicInfo], Groups]:
    return await inspect.list_topics(reach), await offsets_by_group(reach)


def lags(topic: TopicInfo, groups: Groups) -> dict[str, int]:
    """Returns how many records of a topic each group that reads it has yet to commit."""
    partitions = {TopicPartition(topic.name, part.partition): part for part in topic.partitions}
    return {
        group: sum(part.end - max(part.begin, offsets.get(where, 0)) for where, part in partitions.items())
        for group, offsets in groups.items()
        if offsets.keys() & partitions.keys()
    }


def _as_json(topic: TopicInfo, groups: Groups) -> dict[str, Any]:
    return {
        "name": topic.name,
        "partitions": [
            {"partition": part.partition, "begin": part.begin, "end": part.end} for part in topic.partitions
        ],
        "events": topic.records,
        "retention_seconds": None if topic.retention is None else topic.retention.total_seconds(),
        "compacted": topic.compacted,
        "message": topic.message,
        "lag": lags(topic, groups),
    }


def _row(topic: TopicInfo, groups: Groups) -> list[str]:
    return [
        topic.name,
        str(len(topic.partitions)),
        f"{topic.records:,}",
        _kept(topic),
        topic.message or "",
        ", ".join(f"{group} ({lag:,})" for group, lag in lags(topic, groups).items()),
    ]


def _kept(topic: TopicInfo) -> str:
    if topic.compacted:
        return "newest of each key"
    if topic.retention is None:
        return "for ever"
    days, rest = divmod(topic.retention, timedelta(days=1))
    if rest or not days:
        return str(topic.retention)
    return "1 day" if days == 1 else f"{days} days"
