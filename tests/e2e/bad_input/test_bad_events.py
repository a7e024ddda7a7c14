"""A careless upstream publishes good, odd and bad events, some twice and none in order; nobody helps it.

Every bad event ends in its topic's dead letters, once, as it was; every other one counts, once.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from aiokafka import AIOKafkaProducer
from bus.positions import Position
from careless import truth
from careless.bad import bad_records
from careless.records import departed
from careless.scene import PROJECT, STACK, Scene, opened
from careless.serving import INFERENCE, MODEL, announce_route, put_package
from careless.upstream import READERS, Upstream, publish_evening
from tidemark.scoring.v1.feature_vector_pb2 import FeatureStatus
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub
from tidemark_cli.platform import JobFailed, JobSpec, Metrics, ProcessSpec

from examples.flights.features import departures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bus.dead_letters import DeadLetter
    from tidemark.scoring.v1.scoring_service_pb2 import ScoreResponse

    Letters = Mapping[Position, list[DeadLetter]]

pytestmark = pytest.mark.stack

KIT = Path(__file__).parent / "kit"


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with opened(tmp_path_factory.mktemp("bad-events")) as scene:
        await announce_route(scene, put_package(scene, bias=0.0), revision=1)
        await scene.platform.start_all([*(ProcessSpec(name, name) for name in READERS), INFERENCE])
        yield scene


@pytest.fixture(scope="module")
async def upstream(scene: Scene) -> Upstream:
    return await publish_evening(scene)


@pytest.fixture(scope="module")
async def letters(scene: Scene, upstream: Upstream) -> Letters:
    """The dead letters of the evening, by the position of the record they keep."""
    found: dict[Position, list[DeadLetter]] = {}
    for topic in upstream.topics:
        for letter in await scene.letters(topic):
            found.setdefault(letter.original, []).append(letter)
    return found


@pytest.fixture(scope="module")
async def counted(scene: Scene, upstream: Upstream) -> dict[str, Metrics]:
    """What the services counted in the evening; `upstream` is awaited for that."""
    assert upstream.positions
    return {name: await scene.platform.metrics(name) for name in READERS}


@pytest.mark.parametrize("name", [bad.name for bad in bad_records()])
def test_a_bad_event_is_dead_lettered_once_as_it_was_with_its_reason(
    upstream: Upstream, letters: Letters, name: str
) -> None:
    bad, where = upstream.bad[name]

    (letter,) = letters[where]

    assert (letter.reason, letter.service, letter.stack) == (bad.reason, "feature", STACK)
    assert bad.told in letter.detail
    assert (letter.key, letter.value) == (bad.record.key, bad.record.value)
    assert tuple(letter.headers) == bad.record.headers


def test_no_good_event_is_dead_lettered(upstream: Upstream, letters: Letters) -> None:
    assert letters.keys() == {where for _, where in upstream.bad.values()}


def test_every_event_is_in_the_lake_or_a_dead_letter_and_none_in_both(
    scene: Scene, upstream: Upstream, letters: Letters
) -> None:
    kept: Counter[tuple[Position, str]] = Counter()
    for topic, source in scene.project.sources.items():
        batch = scene.lake.events(source)
        for partition, offset, event_id in zip(batch.partition, batch.offset, batch.ids, strict=True):
            kept[Position(topic, int(partition), int(offset)), event_id] += 1

    passed = {where: record for where, record in upstream.positions.items() if where not in letters}
    assert kept == Counter((where, record.id) for where, record in passed.items())
    assert len(kept) + len(letters) == len(upstream.positions)


def test_each_service_counts_what_it_was_given(upstream: Upstream, counted: dict[str, Metrics]) -> None:
    feature, archiver = (counted[name] for name in READERS)
    for topic in upstream.topics:
        given, bad = sum(where.topic == topic for where in upstream.positions), upstream.bad_in(topic)
        assert feature.total("tidemark_consumer_records_total", topic=topic) == given
        assert feature.total("tidemark_consumer_rejections_total", topic=topic) == len(bad)
        assert feature.total("feature_events_total", source=topic) == given - len(bad)
        assert archiver.total("archiver_rows_total", table=f"sources/{topic}") == given - len(bad)
        assert archiver.total("tidemark_consumer_rejections_total", topic=topic) == 0
        for reason, times in Counter(each.reason for each in bad).items():
            assert feature.total("tidemark_consumer_rejections_total", topic=topic, reason=reason) == times


@pytest.fixture(scope="module")
async def served(scene: Scene, upstream: Upstream) -> list[ScoreResponse]:
    """The answers once everything has had its effect; `upstream` is awaited for that."""
    assert upstream.positions
    asked = [question.to_proto(MODEL) for question in truth.questions()]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{scene.grpc_port}") as channel:
        score = ScoringServiceStub(channel).Score
        for message in asked:
            message.explain_features = True
        return [await score(message, timeout=20) for message in asked]


def values_of(served: list[ScoreResponse]) -> Any:
    return np.array([[feature.value for feature in reply.features] for reply in served], np.float32)


@pytest.mark.parametrize("known", ["sent", "lake"])
def test_what_is_served_is_what_good_events_once_each_and_in_any_order_give(
    scene: Scene, upstream: Upstream, served: list[ScoreResponse], known: str
) -> None:
    project, good = scene.project, list(upstream.good.values())
    events = truth.events_of(project, good) if known == "sent" else scene.lake.all_events(project)

    expected = truth.vectors(project, events, truth.questions())

    statuses = np.array([reply.feature_statuses for reply in served], np.uint8)
    assert np.array_equal(statuses, expected.statuses)
    assert np.array_equal(values_of(served), expected.values)


def test_repeats_that_counted_would_have_shown(scene: Scene, served: list[ScoreResponse]) -> None:
    events = truth.none_recognised(scene.lake.all_events(scene.project))

    doubled = truth.vectors(scene.project, events, truth.questions())

    assert (values_of(served) != doubled.values).any(axis=1).mean() > 0.5


def test_a_number_too_large_for_a_vector_is_missing(served: list[ScoreResponse]) -> None:
    (reply,) = [reply for reply in served if reply.prediction_id == truth.STORM]
    (pressure,) = [feature for feature in reply.features if feature.name == "origin_weather.pressure_hpa"]
    assert (pressure.status, pressure.value) == (FeatureStatus.FEATURE_STATUS_MISSING, 1018.0)


class Dlq:
    """`tidemark dlq`, as an on-call engineer types it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def __call__(self, *arguments: str) -> Any:
        job = JobSpec(f"dlq-{next(_CALLS)}", "tidemark_cli", ("dlq", *arguments, "--json"))
        return json.loads(await self._scene.platform.run(job))


_CALLS = count()


async def test_the_command_line_finds_what_was_given_up(scene: Scene, upstream: Upstream) -> None:
    dlq, topic = Dlq(scene), departures.topic
    _, where = upstream.bad["delay-absurd"]

    counted, listed = await asyncio.gather(dlq("list"), dlq("list", topic, "--reason", "OUT_OF_RANGE"))
    (found,) = [letter for letter in listed if letter["was"] == str(where)]
    shown = await dlq("show", topic, str(found["offset"]), "--project", PROJECT)

    told = {one["topic"]: one["dead_letters"] for one in counted if one["dead_letters"]}
    assert told == {f"{name}.dlq": len(await scene.letters(name)) for name in upstream.topics}
    assert Counter(letter["reason"] for letter in listed) == {"OUT_OF_RANGE": 2}
    assert "between -180 and 3000" in shown["detail"]
    assert shown["data"]["flight_id"] == "delay-absurd"
    assert float(shown["data"]["departure_delay_minutes"]) == 1e300


@pytest.mark.usefixtures("counted")
async def test_what_is_replayed_and_still_bad_is_dead_lettered_again_and_not_lost(
    scene: Scene, upstream: Upstream, letters: Letters
) -> None:
    replayed = {name: letters[upstream.bad[name][1]][0] for name in ("no-envelope", "oversize", "tombstone")}
    offsets = [str(letter.where.offset) for letter in replayed.values()]

    sent = await Dlq(scene)("replay", departures.topic, *offsets, "--yes")
    places = [position_of(one["is"]) for one in sent]
    await scene.settled(places, *READERS)

    after = {letter.original: letter for letter in await scene.letters(departures.topic)}
    for letter, place in zip(replayed.values(), places, strict=True):
        again = after[place]
        assert (again.reason, again.key, again.value) == (letter.reason, letter.key, letter.value)
        assert again.headers[: len(letter.headers)] == letter.headers
        assert dict(again.headers)["replayed_from"] == str(letter.where).encode()
        assert after[letter.original] == letter


@pytest.mark.usefixtures("counted", "letters")
async def test_what_is_too_large_even_for_a_dead_letter_is_named_and_kept_where_it_is(scene: Scene) -> None:
    bomb = departed("bomb", tail_number="N" * 4_000_000)
    async with AIOKafkaProducer(
        bootstrap_servers=scene.bootstrap, compression_type="gzip", max_request_size=8_000_000
    ) as producer:
        sent = await producer.send_and_wait(bomb.topic, bomb.value, bomb.key, headers=list(bomb.headers))
    where = Position(sent.topic, sent.partition, sent.offset)
    await scene.settled([where], *READERS)

    (letter,) = [letter for letter in await scene.letters(bomb.topic) if letter.original == where]
    assert (letter.reason, letter.key, letter.value) == ("OVERSIZE", bomb.key, b"")
    assert tuple(letter.headers) == bomb.headers
    assert letter.missing_bytes == len(bomb.value or b"")
    with pytest.raises(JobFailed, match=re.escape(f"error: {letter.where} cannot be replayed")) as refused:
        await Dlq(scene)("replay", bomb.topic, str(letter.where.offset), "--yes")
    assert "Traceback" not in str(refused.value)


@pytest.mark.usefixtures("counted", "letters")
async def test_a_header_name_that_is_not_utf8_harms_nobody(scene: Scene) -> None:
    # The compiled client refuses to send such a name; the one in Python does as it is told.
    environment = {"PYTHONPATH": str(KIT), "AIOKAFKA_NO_EXTENSIONS": "1"}
    job = JobSpec("latin-1", "careless.latin_1", (scene.bootstrap,), environment)
    places = [Position(departures.topic, *where) for where in json.loads(await scene.platform.run(job))]
    await scene.settled(places, *READERS)

    good, bad = places
    batch = scene.lake.events(departures)
    kept = set(zip(batch.partition.tolist(), batch.offset.tolist(), strict=True))
    assert (good.partition, good.offset) in kept
    (letter,) = [letter for letter in await scene.letters(departures.topic) if letter.original == bad]
    assert letter.reason == "OUT_OF_RANGE"
    assert letter.headers[-1] == ("gr\\xf6\\xdfe", b"1")


def position_of(text: str) -> Position:
    """Reads `topic[partition]@offset`."""
    found = re.fullmatch(r"(.+)\[(\d+)\]@(\d+)", text)
    assert found is not None
    return Position(found[1], int(found[2]), int(found[3]))
