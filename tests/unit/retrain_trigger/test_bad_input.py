"""What makes no sense is named, kept as a dead letter, and changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from bus.errors import Unavailable
from bus.memory import MemoryPublisher
from bus.positions import TopicPartition
from bus.records import OutgoingRecord
from retrain_trigger.ports import Kept, UnreadableState
from retrain_trigger.testing.facts import DAY_US, TOPICS, day
from tidemark.governance.v1.approval_pb2 import ApprovalDecided, SubjectKind
from tidemark.monitoring.v1.monitor_pb2 import Assessment, Measurement, MonitorKind, MonitorMeasured
from tidemark.pipelines.v1.progress_pb2 import ProgressMade
from tidemark.registry.v1.route_pb2 import RouteChanged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bus.events import Event
    from monitoring.policies import PersistentDrift
    from retrain_trigger.testing.facts import Said
    from retrain_trigger.testing.world import World

    MakeWorld = Callable[..., Awaitable[World]]
    MakeDrift = Callable[..., PersistentDrift]

REQUEST = "late:persistent-drift:1970-01-22T00:00:00Z"
BREACHED = Assessment.ASSESSMENT_BREACHED


@pytest.fixture
async def world(world_of: MakeWorld, drift: MakeDrift, said: Said) -> World:
    """A request is open."""
    world = await world_of(drift())
    await world.tell(*(said.measured("input-drift", number, breached=True) for number in (14, 21)))
    return world


def reasons(world: World, topic: str) -> list[str]:
    return [letter.reason for letter in world.letters(topic)]


async def test_an_approval_of_what_does_not_exist(world: World, said: Said) -> None:
    await world.tell(said.decided("late:persistent-drift:1999-01-01T00:00:00Z", "a9"))
    (letter,) = world.letters(TOPICS.decided)
    assert letter.reason == "UNKNOWN_REQUEST"
    assert letter.detail == (
        f"late has no request 'late:persistent-drift:1999-01-01T00:00:00Z'; open: {REQUEST}"
    )
    assert world.said(TOPICS.approved) == []


@pytest.mark.parametrize("kind", ["CONSISTENCY", "FRESHNESS"])
async def test_what_is_said_of_the_store_is_no_matter_of_the_models(
    world: World, said: Said, kind: str
) -> None:
    told = MonitorKind.Value(f"MONITOR_KIND_{kind}")
    await world.tell(said.measured("input-drift", 9_000, breached=True, kind=told))
    assert world.letters(TOPICS.measured) == []
    await world.tell(said.decided(REQUEST, "a1"))
    assert len(world.said(TOPICS.approved)) == 1, "no time has passed: the request is open still"


async def test_an_approval_after_another(world: World, said: Said) -> None:
    await world.tell(said.decided(REQUEST, "a1"), said.decided(REQUEST, "a2", approved=False))
    assert reasons(world, TOPICS.decided) == ["ALREADY_DECIDED"]
    assert len(world.said(TOPICS.approved)) == 1
    assert world.said(TOPICS.refused) == []


async def test_an_approval_said_twice_is_heard_once_in_silence(world: World, said: Said) -> None:
    await world.tell(said.decided(REQUEST, "a1"), said.decided(REQUEST, "a1"))
    assert reasons(world, TOPICS.decided) == []
    assert len(world.log.events(TOPICS.approved)) == 1


async def test_an_approval_after_expiry(world: World, said: Said) -> None:
    await world.tell(said.measured("input-quality", 29), said.decided(REQUEST, "a1"))
    assert reasons(world, TOPICS.decided) == ["EXPIRED_REQUEST"]
    assert world.said(TOPICS.approved) == []


async def test_an_approval_of_a_version_is_of_no_concern(world: World, said: Said) -> None:
    event = said.decided(REQUEST, "a1")
    message = ApprovalDecided.FromString(event.data)
    message.kind = SubjectKind.SUBJECT_KIND_VERSION
    await world.tell(replace(event, data=message.SerializeToString()))
    assert world.said(TOPICS.approved) == []
    assert reasons(world, TOPICS.decided) == []


def _without(event: Event, kind: Any, *names: str, **fields: Any) -> Event:
    message = kind.FromString(event.data)
    for name in names:
        message.ClearField(name)
    for name, value in fields.items():
        setattr(message, name, value)
    return replace(event, data=message.SerializeToString())


@pytest.mark.parametrize(
    ("reason", "emptied", "fields"),
    [
        ("MISSING_FIELD", ["monitor"], {}),
        ("MISSING_FIELD", ["version"], {}),
        ("MISSING_FIELD", ["window_end"], {}),
        ("NOT_A_WINDOW", [], {"window_start": day(21)}),
        ("FROM_THE_FUTURE", [], {}),
        ("UNKNOWN_KIND", [], {"kind": 99}),
        ("UNKNOWN_KIND", [], {"kind": 0}),
        ("NOT_A_SHARE", [], {"label_coverage": 1.5}),
        ("NOT_A_SHARE", [], {"label_coverage": float("nan")}),
        ("NOT_A_SHARE", [], {"rows": -1}),
    ],
)
async def test_a_measurement_that_is_none(
    world: World, said: Said, reason: str, emptied: list[str], fields: dict[str, Any]
) -> None:
    before = world.states.rows["late"]
    event = _without(said.measured("input-drift", 21, **fields), MonitorMeasured, *emptied)
    if reason == "FROM_THE_FUTURE":
        event = replace(event, recorded_time_us=19 * DAY_US)
    await world.tell(event)
    assert reasons(world, TOPICS.measured) == [reason]
    assert world.states.rows["late"] == before


async def test_numbers_that_are_none_are_left_out_of_the_evidence(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    figures = [
        Measurement(subject="a", statistic="psi", value=float("nan"), assessment=BREACHED),
        Measurement(subject="b", statistic="psi", assessment=BREACHED),
        Measurement(subject="c", statistic="psi", value=0.5, reference=float("inf"), assessment=BREACHED),
        Measurement(subject="d", statistic="psi", value=0.1, assessment=Assessment.ASSESSMENT_OK),
    ]
    world = await world_of(drift(windows=1))
    await world.tell(said.measured("input-drift", 14, breached=True, measurements=figures))
    (request,) = world.said(TOPICS.requested)
    assert [(one.subject, one.HasField("before")) for one in request.evidence] == [("c", False)]


async def test_other_things_that_are_not_what_their_topic_promises(world: World, said: Said) -> None:
    await world.tell(
        replace(said.routed("x", 7), data=b"\xff\xff"),
        _without(said.routed("x", 7), RouteChanged, "arms"),
        _without(said.routed("x", 7), RouteChanged, model=""),
        replace(said.routed("x", 7), data=b"", tombstone=True),
        _without(said.decided(REQUEST, "a1"), ApprovalDecided, decision=0),
        _without(said.decided(REQUEST, "a1"), ApprovalDecided, decided_by=""),
    )
    assert reasons(world, TOPICS.routes) == ["MALFORMED_PAYLOAD", "NO_ONE_CHAMPION", "MISSING_FIELD"]
    assert reasons(world, TOPICS.decided) == ["NO_DECISION", "MISSING_FIELD"]


async def test_a_record_without_an_envelope_is_kept_as_it_was(world: World) -> None:
    position = world.log.append(TOPICS.measured, OutgoingRecord(b"late", b"junk", [("x", b"y")]))
    (record,) = world.log.read(position.topic_partition, position.offset)
    await world.intake().take(record)
    (letter,) = world.letters(TOPICS.measured)
    assert (letter.reason, letter.key, letter.value) == ("MALFORMED_ENVELOPE", b"late", b"junk")
    assert letter.original == position


async def test_progress_is_told_of_every_record_whatever_became_of_it(world: World, said: Said) -> None:
    await world.tell(said.decided("nonsense", "a9"), replace(said.routed("x", 7), data=b"\xff"))
    reached = {
        (one.topic, one.partition): one.next_offset
        for event in world.log.events(TOPICS.progressed)
        for one in ProgressMade.FromString(event.data).partitions
    }
    ends = {(topic, 0): len(world.log.read(TopicPartition(topic, 0))) for topic in TOPICS.inputs}
    assert reached == ends


async def test_a_state_of_another_shape_stops_the_service_and_is_not_a_dead_letter(
    world: World, said: Said
) -> None:
    world.states.rows["late"] = b'{"shape": 2}'
    with pytest.raises(UnreadableState, match="Run the program that wrote it"):
        await world.tell(said.measured("input-quality", 22))
    assert reasons(world, TOPICS.measured) == []


class _Away(MemoryPublisher):
    async def publish_records(self, topic: str, records: Any) -> Any:
        if topic == TOPICS.requested:
            raise Unavailable("no broker")
        return await super().publish_records(topic, records)


async def test_what_cannot_be_told_yet_is_kept_and_told_later(
    world_of: MakeWorld, drift: MakeDrift, said: Said
) -> None:
    world = await world_of(drift(windows=1))
    world.publisher = _Away(world.log)
    breach = said.measured("input-drift", 14, breached=True)
    with pytest.raises(Unavailable):
        await world.tell(breach)
    assert len(world.states.load("late").untold) == 1
    world.publisher = None
    await world.tell(breach)
    assert len(world.log.events(TOPICS.requested)) == 1
    assert world.states.load("late").untold == ()
    assert reasons(world, TOPICS.measured) == []


async def test_a_handler_that_breaks_stops_nobody(world: World, said: Said) -> None:
    class Broken(type(world.states)):  # type: ignore[misc] # its class is all that is wanted
        def load(self, model: str) -> Kept:
            raise ZeroDivisionError(model)

    whole, world.states = world.states, Broken()
    await world.tell(said.decided(REQUEST, "a1"))
    world.states = whole
    assert reasons(world, TOPICS.decided) == ["HANDLER_FAILED"]
