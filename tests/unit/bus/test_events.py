"""The envelope as headers, there and back."""

from contextlib import suppress

import pytest
from bus.errors import MalformedEvent
from bus.events import Event, from_record, to_headers
from bus.times import LATEST_US
from hypothesis import given
from hypothesis import strategies as st
from tidemark.outcomes.v1.outcome_pb2 import OutcomeObserved

TIME_US = 1_357_017_300_000_000
RECORDED_US = TIME_US + 60_000_000
HEADERS = {
    "ce_specversion": b"1.0",
    "ce_id": b"1",
    "ce_type": b"flights.v1.FlightDeparted",
    "ce_source": b"flights",
    "ce_subject": b"UA-1",
    "ce_time": b"2013-01-01T05:15:00Z",
    "ce_recordedtime": b"2013-01-01T05:16:00Z",
    "content-type": b"application/protobuf",
}
words = st.text(min_size=1, max_size=40)
times = st.integers(0, LATEST_US - 1)


def read(headers: dict[str, bytes], value: bytes | None = b"data", timestamp_ms: int | None = None) -> Event:
    return from_record(b"key", value, headers.items(), timestamp_ms=timestamp_ms)


@given(
    st.builds(
        Event,
        id=words,
        type=words,
        source=words,
        subject=st.text(max_size=40),
        time_us=times,
        recorded_time_us=times,
        key=st.binary(max_size=20),
        data=st.binary(max_size=200),
        traceparent=st.none() | words,
        content_type=st.text(max_size=40),
    )
)
def test_every_event_survives_the_round_trip(event: Event) -> None:
    assert from_record(event.key, event.data, to_headers(event)) == event


@given(st.dictionaries(st.sampled_from(sorted(HEADERS)), st.binary(max_size=30)), st.none() | st.integers())
def test_whatever_the_headers_hold_it_is_an_event_or_named(
    broken: dict[str, bytes], timestamp_ms: int | None
) -> None:
    with suppress(MalformedEvent):
        event = read(HEADERS | broken, timestamp_ms=timestamp_ms)
        assert 0 <= event.time_us < LATEST_US


def test_a_message_is_wrapped_under_its_full_name_and_key() -> None:
    message = OutcomeObserved(label="late", request_key="UA-1", value=1)
    event = Event.of(message, id="late:UA-1:0", source="feature", key="UA-1", time_us=1, recorded_time_us=2)
    assert (event.type, event.subject, event.key) == ("tidemark.outcomes.v1.OutcomeObserved", "UA-1", b"UA-1")
    assert OutcomeObserved.FromString(event.data) == message


def test_a_null_value_is_a_tombstone_and_an_empty_one_is_not() -> None:
    assert read(HEADERS, None).tombstone
    assert not read(HEADERS, b"").tombstone


def test_without_a_recorded_time_the_record_became_known_when_it_was_written() -> None:
    del (headers := dict(HEADERS))["ce_recordedtime"]
    assert read(headers, timestamp_ms=1_400_000_000_000).recorded_time_us == 1_400_000_000_000_000
    assert read(headers).recorded_time_us == TIME_US


def test_without_an_event_time_the_recorded_time_is_taken() -> None:
    del (headers := dict(HEADERS))["ce_time"]
    assert read(headers).time_us == RECORDED_US


def test_attributes_that_cloudevents_leaves_optional_may_be_absent() -> None:
    headers = {name: HEADERS[name] for name in ("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time")}
    event = read(headers)
    assert (event.subject, event.content_type, event.traceparent) == ("", "", None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ce_specversion": b"0.3"}, "UNKNOWN_SPECVERSION"),
        ({"ce_id": b""}, "EMPTY_ATTRIBUTE"),
        ({"ce_type": b"\xff\xfe"}, "NOT_UTF8"),
        ({"ce_time": b"yesterday"}, "UNREADABLE_TIME"),
        ({"ce_time": b"\xff"}, "NOT_UTF8"),
        ({"ce_time": b"9999-01-01T00:00:00Z"}, "UNREADABLE_TIME"),
        ({"ce_recordedtime": b"1066-10-14T09:00:00Z"}, "UNREADABLE_TIME"),
        ({"ce_source": None}, "EMPTY_ATTRIBUTE"),
        ({"ce_subject": None}, "NULL_ATTRIBUTE"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, bytes], reason: str) -> None:
    with pytest.raises(MalformedEvent) as caught:
        read(HEADERS | change)
    assert caught.value.reason == reason


@pytest.mark.parametrize("missing", ["ce_specversion", "ce_id", "ce_type", "ce_source"])
def test_a_missing_attribute_is_named(missing: str) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != missing}
    with pytest.raises(MalformedEvent, match=missing):
        read(headers)


def test_nothing_becomes_known_a_day_after_it_was_written_down() -> None:
    # One record from a clock gone wrong would otherwise drag every watermark with it.
    written_ms = RECORDED_US // 1000 - 86_400_000
    assert read(HEADERS, timestamp_ms=written_ms).recorded_time_us == RECORDED_US
    with pytest.raises(MalformedEvent, match="IMPOSSIBLE_TIME"):
        read(HEADERS, timestamp_ms=written_ms - 1)
