"""Outcomes that callers report: what is told of them, and what is refused by name."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from bus.errors import Unavailable
from bus.memory import MemoryLog, MemoryPublisher
from bus.topics import OUTCOMES_OBSERVED
from feature.adapters.asking import reported_of
from feature.adapters.kafka import KafkaOutcomes
from feature.domain.errors import AskingError, InvalidRequest, LogAway, NotDeclared
from feature.reporting import MAX_OUTCOMES, OutcomeDoor, Reported
from feature_store import Json, Label, Project, Source, field
from feature_store.concealment import Concealment
from feature_store.sensitivity import Pseudonyms
from tidemark.outcomes.v1.outcome_pb2 import OutcomeObserved
from tidemark.outcomes.v1.outcome_service_pb2 import ReportedOutcome

if TYPE_CHECKING:
    from feature.domain.outcomes import Outcome

NOW_US = 1_365_000_000_000_000
SECOND_US = 1_000_000
payments = Source(
    "payments.made.v1",
    format=Json({"payment_id": "text", "fraud": "flag", "loss": "number"}),
    event_time=None,
    max_clock_skew=timedelta(seconds=2),
    sensitive={"payment_id": "hash"},
)
fraud = Label("fraud", source=payments, request_key="payment_id", value=field("fraud"))
loss = Label("loss", source=payments, request_key="payment_id", value=field("loss"))
project = Project(
    module="payments",
    sources={payments.topic: payments},
    entities={},
    views={},
    requests={},
    labels={"fraud": fraud, "loss": loss},
    models={},
)


class Stage:
    """A door on a bus in memory."""

    def __init__(self, concealment: Concealment | None = None) -> None:
        self.bus = MemoryLog()
        self.told: list[Outcome] = []
        self.door = OutcomeDoor(
            project, KafkaOutcomes(MemoryPublisher(self.bus)), self.told.extend, concealment
        )

    async def report(self, *reported: Reported) -> None:
        await self.door.report(reported, now_us=NOW_US, traceparent="00-1-2-01")

    @property
    def events(self) -> list[tuple[str, OutcomeObserved, int, int]]:
        return [
            (event.id, OutcomeObserved.FromString(event.data), event.time_us, event.recorded_time_us)
            for event in self.bus.events(OUTCOMES_OBSERVED.name)
        ]


def reported(
    label: str = "fraud",
    request_key: str = "p1",
    value: float = 1.0,
    revision: int = 0,
    time_us: int | None = None,
    recorded_time_us: int | None = None,
) -> Reported:
    return Reported(label, request_key, value, revision, time_us, recorded_time_us)


async def test_an_outcome_is_told_with_an_id_that_repeating_it_does_not_change() -> None:
    stage = Stage()
    one = reported(revision=2, time_us=NOW_US - SECOND_US)
    await stage.report(one, reported("loss", "p2", 12.5))
    await stage.report(one)
    assert [event[0] for event in stage.events] == ["fraud:p1:2", "loss:p2:0", "fraud:p1:2"]
    event_id, message, time_us, recorded_us = stage.events[0]
    assert (event_id, message) == (
        "fraud:p1:2",
        OutcomeObserved(label="fraud", request_key="p1", value=1.0, revision=2),
    )
    assert (time_us, recorded_us) == (NOW_US - SECOND_US, NOW_US)
    assert stage.events[1][2:] == (NOW_US, NOW_US)
    assert [one.label for one in stage.told] == ["fraud", "loss", "fraud"]
    assert {one.traceparent for one in stage.told} == {"00-1-2-01"}


async def test_a_request_key_that_is_kept_hashed_is_hashed_as_the_predictions_is() -> None:
    pseudonyms = Pseudonyms(b"k" * 32)
    stage = Stage(Concealment.of(project, pseudonyms))
    await stage.report(reported())
    assert stage.events[0][1].request_key == pseudonyms.of("p1")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (reported(request_key=""), "outcomes[1].request_key: must have 1 to 256 bytes"),
        (reported(request_key="é" * 129), "outcomes[1].request_key: must have 1 to 256 bytes"),
        (reported(value=math.nan), "outcomes[1].value: is nan: it must be finite"),
        (reported("loss", value=-math.inf), "outcomes[1].value: is -inf: it must be finite"),
        (reported(value=0.5), "outcomes[1].value: is 0.5: 'fraud' is a condition, so 0 or 1"),
        (reported(revision=-1), "outcomes[1].revision: is -1: revisions count from 0"),
        (reported(recorded_time_us=NOW_US + 1), "outcomes[1].recorded_time: must be from 1970 to now"),
        (reported(time_us=-1), "outcomes[1].outcome_time: must be from 1970"),
        (
            reported(time_us=NOW_US + 2 * SECOND_US + 1),
            "outcomes[1].outcome_time: is later than recorded_time",
        ),
        (
            reported(time_us=NOW_US, recorded_time_us=NOW_US - 3 * SECOND_US),
            "outcomes[1].outcome_time: is later than recorded_time",
        ),
    ],
)
async def test_what_is_wrong_is_refused_by_name_and_nothing_is_told(wrong: Reported, says: str) -> None:
    stage = Stage()
    with pytest.raises(InvalidRequest) as refused:
        await stage.report(reported(), wrong)
    assert str(refused.value).startswith(says)
    assert stage.events == []


async def test_a_label_that_is_not_the_projects_is_named_with_the_nearest() -> None:
    with pytest.raises(NotDeclared, match=r"outcomes\[0\]\.label: there is no 'frod'.*fraud"):
        await Stage().report(reported("frod"))


@pytest.mark.parametrize("count", [0, MAX_OUTCOMES + 1])
async def test_none_and_too_many_are_refused(count: int) -> None:
    with pytest.raises(InvalidRequest, match=f"outcomes: has {count} entries"):
        await Stage().report(*[reported()] * count)


async def test_a_log_that_is_away_says_to_report_again() -> None:
    class Away:
        async def tell(self, _outcomes: object) -> None:
            raise Unavailable("no broker")

    door = OutcomeDoor(project, Away(), lambda _: pytest.fail("nothing was told"))
    with pytest.raises(LogAway, match="no broker; report the same again"):
        await door.report([reported()], now_us=NOW_US)


def test_a_reported_outcome_is_read_from_the_wire_and_a_bad_time_is_named() -> None:
    message = ReportedOutcome(label="fraud", request_key="p1", value=1.0, revision=3)
    assert reported_of(0, message) == reported(revision=3)
    message.outcome_time.seconds = 7
    assert reported_of(0, message).time_us == 7 * SECOND_US
    message.recorded_time.nanos = -1
    with pytest.raises(AskingError, match=r"outcomes\[4\]\.recorded_time: has -1 nanos"):
        reported_of(4, message)
