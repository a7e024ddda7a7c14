"""A dead letter of somebody who was erased is recognised, whatever kept it from being handled."""

import json
from datetime import UTC, datetime

import pytest
from bus.dead_letters import DeadLetter
from bus.positions import Position
from feature_store import Pseudonyms, load_project
from google.protobuf.timestamp_pb2 import Timestamp
from privacy.erased import ErasedSubjects, Erasure
from tidemark.scoring.v1.prediction_pb2 import PredictionMade
from tidemark_cli.erased import is_erased

NAMES = Pseudonyms(b"a secret of sixteen bytes or more")
PROJECT = load_project("private_shop")
RECORDED = datetime(2024, 1, 1, tzinfo=UTC)
RECORDED_US = int(RECORDED.timestamp()) * 1_000_000


def letter(topic: str, value: bytes) -> DeadLetter:
    envelope = {"ce_specversion": "1.0", "ce_id": "i", "ce_type": "t", "ce_source": "s"}
    envelope |= {"ce_recordedtime": RECORDED.isoformat()}
    return DeadLetter(
        where=Position(f"{topic}.dlq", 0, 0),
        original=Position(topic, 0, 7),
        reason="OUT_OF_RANGE",
        detail="",
        service="feature",
        stack="local",
        time_us=RECORDED_US,
        timestamp_ms=RECORDED_US // 1000,
        key=b"k",
        value=value,
        headers=[(name, told.encode()) for name, told in envelope.items()],
    )


def erased(entity: str, key: str, until_us: int) -> ErasedSubjects:
    found = ErasedSubjects.of(PROJECT, NAMES)
    found.add(Erasure("e", entity, NAMES.subject(entity, key), NAMES.key_id, until_us))
    return found


ORDER = json.dumps({"customer": "ann", "card": "4711", "email": "nowhere", "amount": "many"}).encode()


@pytest.mark.parametrize(
    ("entity", "key", "until_us", "expected"),
    [
        ("customer", "ann", RECORDED_US, True),
        ("customer", "ann", RECORDED_US - 1, False),
        ("customer", "bob", RECORDED_US, False),
        ("card", NAMES.of("4711"), RECORDED_US, True),
    ],
)
def test_an_event_that_was_refused_still_names_its_subject(
    entity: str, key: str, until_us: int, *, expected: bool
) -> None:
    assert is_erased(letter("orders.v1", ORDER), PROJECT, erased(entity, key, until_us), NAMES) is expected


def test_a_prediction_names_its_entities_and_what_cannot_be_read_names_nobody() -> None:
    ann = erased("customer", "ann", RECORDED_US)
    made = PredictionMade(
        entities={"customer": "ann"}, request_time=Timestamp(seconds=RECORDED_US // 1_000_000)
    )
    topic = "tidemark.predictions.made.v1"
    assert is_erased(letter(topic, made.SerializeToString()), PROJECT, ann, NAMES)
    assert not is_erased(letter(topic, b"\xff"), PROJECT, ann, NAMES)
    assert not is_erased(letter("tidemark.routes.changed.v1", b""), PROJECT, ann, NAMES)
