from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bus.inspect import list_topics

from examples.flights.streams import load_streams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from local_stack import LocalStack

_ROOT = Path(__file__).parents[3]


async def _publish(*arguments: str, bootstrap: str = "localhost:1") -> tuple[int, str]:
    """Run the command; return its exit status and everything it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "examples.flights.publisher",
        *arguments,
        cwd=_ROOT,
        env={"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "COLUMNS": "200", "PATH": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.mark.stack
async def test_the_command_publishes_a_day_on_topics_of_its_making(
    own_stack: Callable[..., Awaitable[LocalStack]],
) -> None:
    bootstrap = (await own_stack(valkey=None)).kafka_bootstrap
    status, said = await _publish(
        "--from", "2013-02-12", "--to", "2013-02-13", "--partitions", "3", bootstrap=bootstrap
    )
    assert status == 0, said
    found = {topic.name: topic for topic in await list_topics(bootstrap)}
    day = load_streams(datetime(2013, 2, 12, tzinfo=UTC), datetime(2013, 2, 13, tzinfo=UTC))
    assert [found[source.topic].records for source in day.sources] == [len(source) for source in day.sources]
    assert f"published {day.event_count:,} events on {bootstrap}" in said
    assert len(found["weather.observed.v1"].partitions) == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--from", "2013-02-12", "--to", "2013-02-13", "--speed", "fast"],
            "'fast' is neither `max` nor a number above 0",
        ),
        (
            ["--from", "2013-02-12", "--to", "2013-02-13", "--speed", "-1"],
            "'-1' is neither `max` nor a number above 0",
        ),
        (["--from", "2013-02-13", "--to", "2013-02-12"], "the period is empty"),
        (["--from", "2013-02-12"], "Missing option '--to'"),
    ],
)
async def test_a_mistake_on_the_command_line_is_named(arguments: list[str], told: str) -> None:
    status, said = await _publish(*arguments)
    assert status == 2
    assert told in " ".join(said.replace("│", " ").split())


async def test_a_broker_that_is_away_is_named() -> None:
    status, said = await _publish("--from", "2013-02-12", "--to", "2013-02-13")
    assert status == 1
    assert "Kafka at localhost:1" in said
    assert "Traceback" not in said
