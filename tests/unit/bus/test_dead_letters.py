"""Dead letters: written, read, and made records again."""

from dataclasses import replace

import pytest
from bus.dead_letters import NotADeadLetter, Refusal, Undertaker, exhume, replay, revive
from bus.events import Event, from_record, to_headers
from bus.memory import MemoryLog, MemoryPublisher, MemoryRecord
from bus.positions import Position, TopicPartition
from bus.records import OutgoingRecord
from hypothesis import given
from hypothesis import strategies as st

TIME_US = 1_357_017_300_000_000
UNDERTAKER = Undertaker("feature", "blue")

records = st.builds(
    MemoryRecord,
    topic=st.just("flights"),
    partition=st.integers(0, 9),
    offset=st.integers(0, 2**62),
    timestamp=st.integers(0, 2**42),
    key=st.none() | st.binary(),
    value=st.none() | st.binary(),
    headers=st.lists(st.tuples(st.text().filter(lambda name: not name.startswith("dlq_")), st.binary())),
)


def written(record: OutgoingRecord) -> MemoryRecord:
    return MemoryRecord("flights.dlq", 0, 5, 0, record.key, record.value, record.headers)


@given(records, st.text(), st.text(max_size=1_000))
def test_the_original_survives_burial_byte_for_byte(record: MemoryRecord, reason: str, detail: str) -> None:
    letter = exhume(written(UNDERTAKER.bury(Refusal(record, reason, detail), TIME_US)))
    assert (letter.key, letter.value, letter.headers) == (record.key, record.value, record.headers)
    assert letter.original == Position(record.topic, record.partition, record.offset)
    assert (letter.service, letter.stack, letter.time_us) == ("feature", "blue", TIME_US)
    assert letter.timestamp_ms == record.timestamp
    assert letter.where == Position("flights.dlq", 0, 5)


def test_an_endless_detail_is_cut_short() -> None:
    record = MemoryRecord("flights", 0, 0, 0, None, b"", [])
    assert len(exhume(written(UNDERTAKER.bury(Refusal(record, "R", "x" * 10_000), TIME_US))).detail) == 1_000


@pytest.mark.parametrize(
    "headers", [[], [("dlq_reason", b"R")], [("dlq_topic", b"\xff")], [("dlq_topic", None)]]
)
def test_a_record_that_is_no_dead_letter_is_named(headers: list[tuple[str, bytes]]) -> None:
    with pytest.raises(NotADeadLetter, match=r"flights.dlq\[0\]@5"):
        exhume(written(OutgoingRecord(b"k", b"v", headers)))


def test_a_revived_record_is_the_original_and_says_where_it_was_kept() -> None:
    event = Event("1", "T", "s", "k", TIME_US, TIME_US + 1, b"k", b"data")
    record = MemoryRecord("flights", 0, 3, 7, event.key, event.data, to_headers(event))
    revived = revive(exhume(written(UNDERTAKER.bury(Refusal(record, "R", "d"), TIME_US))))
    assert revived.headers == [*record.headers, ("replayed_from", b"flights.dlq[0]@5")]
    assert from_record(*revived) == event


def test_a_revived_record_says_when_it_became_known_where_only_its_timestamp_did() -> None:
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_type", b"T"), ("ce_source", b"s")]
    record = MemoryRecord("flights", 0, 3, 1_400_000_000_000, b"k", b"v", headers)
    revived = revive(exhume(written(UNDERTAKER.bury(Refusal(record, "R", "d"), TIME_US))))
    assert from_record(*revived, timestamp_ms=1_900_000_000_000).recorded_time_us == 1_400_000_000_000_000


async def test_letters_are_replayed_to_where_they_came_from_and_stay() -> None:
    log = MemoryLog()
    publisher = MemoryPublisher(log)
    event = Event("1", "T", "s", "k", TIME_US, TIME_US, b"k", b"data")
    record = MemoryRecord("flights", 0, 3, 7, event.key, event.data, to_headers(event))
    await publisher.publish_records("flights.dlq", [UNDERTAKER.bury(Refusal(record, "R", "d"), TIME_US)])
    letters = [exhume(one) for one in log.read(TopicPartition("flights.dlq", 0))]
    with pytest.raises(NotADeadLetter, match="the 9 bytes of its value are at flights"):
        await replay(publisher, [*letters, replace(letters[0], missing_bytes=9)])
    assert log.events("flights") == []
    assert await replay(publisher, letters) == [Position("flights", 0, 0)]
    assert log.events("flights") == [event]
    assert len(log.read(TopicPartition("flights.dlq", 0))) == 1
