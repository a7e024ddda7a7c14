"""A day's report with its dead letters, told as a measurement; and dead letters that are left for good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from bus.dead_letters import Refusal, Undertaker
from bus.events import Event, to_headers
from bus.inspect import tail
from bus.memory import MemoryRecord
from bus.producer import KafkaPublisher
from bus.topics import MONITORS_MEASURED, Topic, dead_letter_of, ensure_topics
from data_quality.findings import Day
from deltalake import write_deltalake
from feature_store import Incoming, decode_events
from tidemark.monitoring.v1 import monitor_pb2 as proto
from tidemark_cli.testing import Cli

if TYPE_CHECKING:
    from feature_store import Source

DAY = Day.of("2013-08-30")
TOPIC = "meters.read.v1"


def reading(number: int, day: Day, value: float = 1.0) -> Event:
    at_us = day.start_us + number * 60_000_000
    payload = {"meter": f"m{number}", "value": value, "at": f"{np.datetime64(at_us, 'us')}Z"}
    return Event(f"r{number}", "reading", "grid", "", at_us, at_us, b"k", json.dumps(payload).encode())


@pytest.fixture(scope="module")
def source() -> Source:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        import metered_project  # noqa: PLC0415 - it is found now

        return metered_project.meters


@pytest.fixture(scope="module")
async def metered(broker: str, source: Source, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A lake of two days, four readings each, and two dead letters: one a day."""
    lake = tmp_path_factory.mktemp("lake")
    events = [reading(i, day) for day in (DAY, Day(DAY.number + 1)) for i in range(4)]
    batch, _ = decode_events(
        source,
        Incoming.of(events),
    )
    late = reading(8, Day(DAY.number + 2))
    batch_end, _ = decode_events(
        source, Incoming([late.data], ["end"], [b"k"], [late.time_us], [late.time_us], [0], [8])
    )
    for part in (batch, batch_end):
        write_deltalake(lake / "sources" / TOPIC, part.to_arrow(), mode="append")
    await ensure_topics(broker, [Topic(TOPIC, None, "meter", 1, None), MONITORS_MEASURED])
    buried = [
        Refusal(record(20 + i, reading(9, day, 900.0)), "OUT_OF_RANGE", "value is 900.0")
        for i, day in enumerate([DAY, Day(DAY.number + 1)])
    ]
    async with KafkaPublisher(broker, client_id="test") as publisher:
        letters = [Undertaker("feature", "here").bury(one, now_us=DAY.end_us) for one in buried]
        await publisher.publish_records(dead_letter_of(TOPIC), letters)
    environment = {"KAFKA_BOOTSTRAP_SERVERS": broker, "LAKE_URI": str(lake), "COLUMNS": "250"}
    return Cli({**environment, "TIDEMARK_PROJECT": "metered_project", "TIDEMARK_ACTOR": "ada"})


def record(offset: int, event: Event) -> MemoryRecord:
    return MemoryRecord(TOPIC, 0, offset, DAY.end_us // 1_000, event.key, event.data, to_headers(event))


async def test_what_the_door_refused_is_counted_on_the_day_that_it_was_recorded(metered: Cli) -> None:
    (day,) = await metered.read("quality", "report", "--day", str(DAY))
    assert [(one["reason"], one["count"]) for one in day["refused"]] == [("OUT_OF_RANGE", 1)]
    assert day["refused"][0]["examples"][0] == {"partition": 0, "offset": 20, "told": "value is 900.0"}
    share = next(one for one in day["expectations"] if one["statistic"] == "refused_share")
    assert (share["observed"], share["verdict"]) == (0.2, "PASSED")


async def test_a_day_that_is_published_twice_is_one_measurement(metered: Cli, broker: str) -> None:
    for _ in range(2):
        result = await metered.run("quality", "report", "--day", str(DAY), "--publish")
        assert result.exit_code == 0, result.output
    told = await measured(broker)
    assert len(told) == 2
    assert told[0] == told[1]
    message = proto.MonitorMeasured.FromString(told[0].data)
    assert (message.model, message.assessment, message.clear) == (TOPIC, proto.ASSESSMENT_OK, True)


async def measured(broker: str) -> list[Event]:
    """Return what was measured of the source."""
    found = []
    async for seen in tail(broker, MONITORS_MEASURED.name, from_beginning=True, limit=2):
        assert seen.event is not None
        found.append(seen.event)
    return found


async def test_a_discarded_letter_is_neither_listed_nor_sent_back_and_says_who_and_why(
    metered: Cli,
) -> None:
    listed = await metered.read("dlq", "list", TOPIC, "--day", str(DAY))
    (offset,) = [one["offset"] for one in listed]
    why = ("--because", "the meter was replaced")
    (told,) = await metered.read("dlq", "discard", TOPIC, "--all", "--day", str(DAY), *why, "--yes")
    assert told == {
        "discarded": f"{dead_letter_of(TOPIC)}[0]@{offset}",
        "because": "the meter was replaced",
        "by": "ada",
    }
    assert [one["offset"] for one in await metered.read("dlq", "list", TOPIC)] == [1 - offset]
    shown = await metered.read("dlq", "list", TOPIC, "--discarded")
    assert [one["discarded"] and one["discarded"]["because"] for one in shown].count(
        "the meter was replaced"
    ) == 1
    sent = await metered.read("dlq", "replay", TOPIC, "--all", "--yes")
    assert [one["was"] for one in sent] == [f"{dead_letter_of(TOPIC)}[0]@{1 - offset}"]


async def test_a_discard_needs_a_reason_and_letters(metered: Cli) -> None:
    assert "--because is empty" in await metered.refused(
        "dlq", "discard", TOPIC, "1", "--because", " ", exit_code=2
    )
    complaint = await metered.refused("dlq", "discard", TOPIC, "--because", "x", exit_code=2)
    assert "say which dead letters" in complaint
