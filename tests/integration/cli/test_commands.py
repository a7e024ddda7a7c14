"""The commands that look at a broker, on a real one."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta

import pytest
from bus.events import Event
from bus.producer import KafkaPublisher
from bus.received import Received, Rejection
from bus.records import OutgoingRecord
from bus.runner import ConsumerRunner
from bus.topics import ROUTES_CHANGED, Topic, ensure_topics
from tidemark_cli.testing import Cli

from examples.flights.gen.flights.v1.events_pb2 import FlightDeparted

DEPARTED = Topic("flights.departed.v1", None, "flight_id", 2, timedelta(days=7))


async def test_topics_say_how_much_there_is_and_who_is_behind(
    on_kafka: Cli, broker: str, buried: str
) -> None:
    await ensure_topics(broker, [ROUTES_CHANGED])
    topics = {topic["name"]: topic for topic in await on_kafka.read("topics")}
    routes = topics["tidemark.routes.changed.v1"]
    assert (routes["compacted"], routes["message"]) == (True, "tidemark.registry.v1.RouteChanged")
    assert "refuser" in topics[buried]["lag"]
    told = await on_kafka.show("topics")
    assert "tidemark.routes.changed.v1" in told
    assert "newest of each key" in told


def departed(flight: str) -> Event:
    message = FlightDeparted(flight_id=flight, origin="JFK")
    return Event.of(
        message, id=flight, source="test", key=flight, time_us=0, recorded_time_us=1_357_020_000_000_000
    )


@pytest.fixture(scope="module")
async def buried(broker: str) -> str:
    """A source topic whose three events were refused by a consumer."""
    await ensure_topics(broker, [DEPARTED])
    stop, seen = asyncio.Event(), 0

    async def refuse(batch: Sequence[Received]) -> list[Rejection]:
        nonlocal seen
        seen += len(batch)
        if seen >= 3:
            stop.set()
        return [Rejection(one, f"REASON_{one.event.id}", "It is no good.") for one in batch]

    async with KafkaPublisher(broker, client_id="test") as publisher:
        for flight in ("1", "1", "2"):
            await publisher.publish(DEPARTED.name, departed(flight))
        runner = ConsumerRunner(
            bootstrap=broker,
            group="refuser",
            topics=[DEPARTED.name],
            handler=refuse,
            publisher=publisher,
            service="refuser",
            publish_progress=False,
        )
        async with asyncio.timeout(30):
            await runner.run(stop)
    return DEPARTED.name


async def test_dead_letters_are_counted_listed_and_shown(on_kafka: Cli, buried: str) -> None:
    counted = {one["topic"]: one["dead_letters"] for one in await on_kafka.read("dlq", "list")}
    assert counted[f"{buried}.dlq"] == 3
    assert f"{buried}.dlq 3" in await on_kafka.show("dlq", "list")
    listed = await on_kafka.read("dlq", "list", buried)
    assert sorted(one["reason"] for one in listed) == ["REASON_1", "REASON_1", "REASON_2"]
    assert len(await on_kafka.read("dlq", "list", buried, "--reason", "REASON_1")) == 2
    assert "It is no good." in await on_kafka.show("dlq", "list", f"{buried}.dlq", "--limit", "1")
    offset = next(str(one["offset"]) for one in listed if one["reason"] == "REASON_2")
    shown = await on_kafka.read("dlq", "show", buried, offset, "--project", "examples.flights")
    assert (shown["data"]["flight_id"], shown["service"], shown["headers"]["ce_id"]) == ("2", "refuser", "2")
    assert "REASON_2" in await on_kafka.show("dlq", "show", buried, offset)


async def test_a_dead_letter_that_is_not_there_is_said_so(on_kafka: Cli, buried: str) -> None:
    result = await on_kafka.run("dlq", "show", buried, "99")
    assert result.exit_code == 1
    assert f"nothing is at {buried}.dlq[0]@99" in " ".join(result.stderr.split())


async def test_a_record_that_somebody_else_wrote_there_is_shown_as_foreign_and_passed_over(
    on_kafka: Cli, broker: str, buried: str
) -> None:
    async with KafkaPublisher(broker, client_id="test") as publisher:
        [where] = await publisher.publish_records(f"{buried}.dlq", [OutgoingRecord(b"k", b"v", [])])
    offset = str(where.offset)
    listed = await on_kafka.read("dlq", "list", buried)
    assert [one["offset"] for one in listed if one["reason"] == "FOREIGN"] == [where.offset]
    assert f"{offset} FOREIGN" in await on_kafka.show("dlq", "list", buried)
    assert {one["reason"] for one in await on_kafka.read("dlq", "list", buried, "--reason", "REASON_1")} == {
        "REASON_1"
    }
    for command in ("show", "replay"):
        assert f"{where} is not a dead letter" in await on_kafka.refused("dlq", command, buried, offset)
    replayed = await on_kafka.run("dlq", "replay", buried, "--all", "--reason", "NONE", "--yes")
    assert (replayed.exit_code, replayed.stdout) == (0, "0 sent back.\n")


async def test_dead_letters_go_back_as_they_were(on_kafka: Cli, buried: str) -> None:
    refused = await on_kafka.run("dlq", "replay", buried, "--all", "--reason", "REASON_2", answer="n\n")
    assert (refused.exit_code, "Aborted" in refused.stderr) == (1, True)
    sent = await on_kafka.read("dlq", "replay", buried, "--all", "--reason", "REASON_2", "--yes")
    assert [one["was"].split("[")[0] for one in sent] == [f"{buried}.dlq"]
    result = await on_kafka.run(
        *("tail", buried, "--from-beginning", "--limit", "4", "--json", "--project", "examples.flights")
    )
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted(event["id"] for event in events) == ["1", "1", "2", "2"]
    assert {event["data"]["origin"] for event in events} == {"JFK"}
    assert await on_kafka.show("dlq", "replay", buried, "0", "--yes") == "1 sent back."
    assert (
        await on_kafka.show("dlq", "replay", buried, "--all", "--reason", "NONE", "--yes") == "0 sent back."
    )


async def test_a_topic_that_is_not_there_is_said_so(on_kafka: Cli) -> None:
    result = await on_kafka.run("tail", "no.such.topic")
    assert result.exit_code == 3
    assert "no.such.topic does not exist" in " ".join(result.stderr.split())


async def test_following_a_topic_ends_at_an_interrupt_without_a_word(on_kafka: Cli, buried: str) -> None:
    following = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidemark_cli", "tail", buried, "--from-beginning", "--json"),
        env=dict(os.environ) | on_kafka.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert following.stdout is not None
    async with asyncio.timeout(30):
        assert json.loads(await following.stdout.readline())["topic"] == buried
        following.send_signal(signal.SIGINT)
        _, error = await following.communicate()
    assert (following.returncode, error) == (130, b"")
