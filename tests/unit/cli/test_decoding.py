import base64
import struct

import pytest
from bus.events import Event, to_headers
from bus.inspect import see
from bus.memory import MemoryRecord
from google.protobuf.message import Message
from tidemark.registry.v1.model_pb2 import ModelRegistered
from tidemark.scoring.v1.prediction_pb2 import PredictionMade
from tidemark_cli import decoding
from tidemark_cli.failures import WrongUsage

MESSAGE = ModelRegistered(model="late", version="v", training_rows=3)
EVENT = Event.of(MESSAGE, id="1", source="s", key="late", time_us=0, recorded_time_us=1_000_000)


def record(event: Event, topic: str = "t") -> MemoryRecord:
    return MemoryRecord(topic, 2, 7, 0, event.key, event.data, to_headers(event))


def test_an_event_is_described_with_its_position_envelope_and_message() -> None:
    assert decoding.describe(see(record(EVENT), ModelRegistered)) == {
        "topic": "t",
        "partition": 2,
        "offset": 7,
        "key": "late",
        "id": "1",
        "type": "tidemark.registry.v1.ModelRegistered",
        "source": "s",
        "subject": "late",
        "time": "1970-01-01T00:00:00Z",
        "recorded_time": "1970-01-01T00:00:01Z",
        "data": decoding.message_values(MESSAGE),
    }


def test_a_message_shows_its_zeros_too() -> None:
    told = decoding.message_values(MESSAGE)
    assert (told["model"], told["training_rows"], told["digest"], told["metrics"]) == ("late", "3", "", {})


def test_a_prediction_shows_its_vector_as_numbers() -> None:
    prediction = PredictionMade(prediction_id="p")
    assert "features" not in decoding.message_values(prediction)
    prediction.features.contract_hash = b"\x0a\xff"
    prediction.features.values = struct.pack("<3f", 0.1, -4.0, 1e9) + b"cut"
    prediction.features.statuses = bytes([1, 2, 99])
    assert decoding.message_values(prediction)["features"] == {
        "contract_hash": "0aff",
        "values": [0.1, -4.0, 1e9],
        "statuses": ["PRESENT", "MISSING", "99"],
        "rows": [],
    }


def test_a_record_without_an_envelope_says_what_is_wrong_with_it() -> None:
    told = decoding.describe(see(MemoryRecord("t", 0, 0, 0, None, b"x", []), None))
    assert "ce_specversion" in told["problem"]
    assert (told["key"], told["data"]) == (None, "x")
    assert "id" not in told


def test_a_dead_letter_shows_its_headers() -> None:
    told = decoding.describe(see(record(EVENT, "t.dlq"), None))
    assert told["headers"]["ce_id"] == "1"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, None),
        (b"", ""),
        (b'{"wind": 31.0}', {"wind": 31.0}),
        (b"two\nlines", "two\nlines"),
        (b"\xff\x00", {"base64": base64.b64encode(b"\xff\x00").decode()}),
    ],
)
def test_bytes_are_told_as_what_they_are(value: bytes | None, told: object) -> None:
    assert decoding.bytes_values(value) == told


@pytest.mark.parametrize(
    ("value", "kind", "told"),
    [
        (MESSAGE.SerializeToString(), ModelRegistered, decoding.message_values(MESSAGE)),
        (b"\xff\xff", ModelRegistered, {"base64": "//8="}),
        (b"1", None, 1),
        (None, ModelRegistered, None),
    ],
)
def test_a_payload_that_is_not_what_it_should_be_is_told_as_what_it_is(
    value: bytes | None, kind: type[Message] | None, told: object
) -> None:
    assert decoding.decode(value, kind) == told


def test_a_key_that_is_no_text_shows_as_escapes() -> None:
    assert decoding.as_text(b"a\xff") == "a\\xff"


def test_the_catalogue_and_the_projects_sources_are_known() -> None:
    known = decoding.known_messages("examples.flights")
    assert known["tidemark.models.registered.v1"] is ModelRegistered
    assert known["flights.departed.v1"].DESCRIPTOR.full_name == "flights.v1.FlightDeparted"


def test_a_project_that_cannot_be_loaded_is_named() -> None:
    with pytest.raises(WrongUsage, match=r"no\.such"):
        decoding.known_messages("no.such")
