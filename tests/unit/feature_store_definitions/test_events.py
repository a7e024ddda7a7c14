"""Events from the wire and from the lake: the valid ones as columns, the others refused by name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from feature_store import Check, EventBatch, Incoming, Json, Reason, Reject, Source, decode_events, field
from feature_store.events import arrow_schema, concat, empty, from_arrow
from hypothesis import given, settings
from hypothesis import strategies as st

T0_US = 1_357_016_400_000_000  # 2013-01-01T05:00:00Z
SECOND_US = 1_000_000

CLICKS = Source(
    "clicks.v1",
    format=Json({"user": "text", "at": "time", "price": "number", "mobile": "flag", "seen": "time"}),
    event_time="at",
    checks=[
        Check.required("user"),
        Check.range("price", 0, 100),
        Check.matches("user", "[a-z]+"),
        Check.that(~(field("seen") > field("at")), "SEEN_AFTER_CLICK"),
    ],
    max_lateness=timedelta(hours=1),
    max_clock_skew=timedelta(seconds=10),
    max_bytes=200,
)


def incoming(*values: bytes, recorded_time_us: int = T0_US) -> Incoming:
    n = len(values)
    return Incoming(
        values=values,
        ids=[f"id{index}" for index in range(n)],
        keys=[b"key%d" % index for index in range(n)],
        event_time_us=[7] * n,
        recorded_time_us=[recorded_time_us] * n,
        partitions=[index % 2 for index in range(n)],
        offsets=[100 + index for index in range(n)],
    )


def click(**fields: Any) -> bytes:
    parts = {"user": '"ann"', "at": '"2013-01-01T05:00:00Z"', **fields}
    return ("{" + ", ".join(f'"{name}": {value}' for name, value in parts.items()) + "}").encode()


def same(left: EventBatch, right: EventBatch) -> bool:
    return bool(left.to_arrow().equals(right.to_arrow()))


def test_valid_events_keep_their_envelope_and_order() -> None:
    batch, rejects = decode_events(CLICKS, incoming(click(price=1), click(user='"bob"', price=2)))
    assert rejects == []
    assert len(batch) == 2
    assert batch.source is CLICKS
    assert batch.columns["user"].tolist() == ["ann", "bob"]
    assert batch.columns["price"].tolist() == [1.0, 2.0]
    assert batch.ids.tolist() == ["id0", "id1"]
    assert batch.keys.tolist() == [b"key0", b"key1"]
    np.testing.assert_array_equal(batch.partition, np.array([0, 1], dtype=np.int32), strict=True)
    np.testing.assert_array_equal(batch.offset, np.array([100, 101], dtype=np.int64), strict=True)
    assert batch.recorded_time_us.tolist() == [T0_US, T0_US]


def test_the_event_time_is_the_payloads_whatever_the_envelope_says() -> None:
    batch, _ = decode_events(CLICKS, incoming(click()))
    assert batch.event_time_us.tolist() == [T0_US]


def test_the_event_time_is_the_envelopes_where_the_source_declares_none() -> None:
    source = Source(
        "plain.v1", format=Json({"user": "text"}), event_time=None, max_lateness=timedelta(days=36_500)
    )
    batch, rejects = decode_events(source, incoming(b'{"user": "ann"}'))
    assert (batch.event_time_us.tolist(), rejects) == ([7], [])


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [
        (b"{", Reason.MALFORMED_PAYLOAD, "The 1 bytes are no JSON"),
        (click(pad='"' + "x" * 200 + '"'), Reason.OVERSIZE, "the source reads at most 200."),
        (click(user="5"), Reason.WRONG_TYPE, "user is 5; it must be a text."),
        (click(price="NaN"), Reason.NOT_FINITE, "price is nan"),
        (click(user="null"), Reason.MISSING_FIELD, "user has no value; the source requires it."),
        (click(user='""'), Reason.MISSING_FIELD, "user has no value; the source requires it."),
        (click(at="null"), Reason.MISSING_FIELD, "at has no value; it is the event time."),
        (click(price="-0.5"), Reason.OUT_OF_RANGE, "price is -0.5; it must lie between 0 and 100."),
        (click(price="100.5"), Reason.OUT_OF_RANGE, "price is 100.5; it must lie between 0 and 100."),
        (click(user='"Ann"'), Reason.NO_MATCH, "user is 'Ann'; it must match '[a-z]+'."),
        (click(user='"ann!"'), Reason.NO_MATCH, "user is 'ann!'; it must match '[a-z]+'."),
        (
            click(seen='"2014-01-01T05:00:00Z"'),
            "SEEN_AFTER_CLICK",
            "does not hold: at is 2013-01-01T05:00:00.000000Z, seen is 2014-01-01T05:00:00.000000Z.",
        ),
        (click(at='"2013-01-01T05:00:11Z"'), Reason.FUTURE_EVENT, "at is 11.000000 s later than recorded"),
        (
            click(at='"2013-01-01T03:59:59Z"'),
            Reason.LATE_BEYOND_LIMIT,
            "at is 3601.000000 s earlier than recorded",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_event_is_refused_by_name_and_its_neighbours_kept(
    payload: bytes, reason: str, detail: str
) -> None:
    batch, [reject] = decode_events(CLICKS, incoming(click(), payload, click()))
    assert batch.offset.tolist() == [100, 102]
    assert (reject.index, reject.reason) == (1, reason)
    assert detail in reject.detail


def test_a_condition_that_does_not_hold_shows_values_as_their_sender_writes_them() -> None:
    anonymous = field("user").is_null() & field("price").is_null() & field("seen").is_null()
    source = Source("c.v1", format=CLICKS.format, event_time="at", checks=[Check.that(~anonymous, "WHO")])
    told = Check.that((field("price") > 5) & field("mobile") & (field("user") == "ann"), "ANN_ON_FOOT")
    strict = Source("c.v1", format=CLICKS.format, event_time="at", checks=[told])
    _, [nothing] = decode_events(source, incoming(click(user="null")))
    _, [something] = decode_events(strict, incoming(click(price=2.5, mobile="true")))
    assert nothing.detail.endswith("does not hold: price is null, seen is null, user is null.")
    assert something.detail.endswith("does not hold: mobile is true, price is 2.5, user is 'ann'.")


@pytest.mark.parametrize("at", ["2013-01-01T05:00:10Z", "2013-01-01T04:00:00Z"])
def test_the_bounds_of_time_are_allowed_themselves(at: str) -> None:
    batch, rejects = decode_events(CLICKS, incoming(click(at=f'"{at}"')))
    assert (len(batch), rejects) == (1, [])


@pytest.mark.parametrize("price", ["0", "100", "null"])
def test_the_bounds_of_a_range_and_null_are_allowed(price: str) -> None:
    assert decode_events(CLICKS, incoming(click(price=price)))[1] == []


def test_a_record_that_is_wrong_twice_is_refused_once_for_the_first_reason() -> None:
    _, rejects = decode_events(CLICKS, incoming(click(user="null", price="-1", at="null")))
    assert [(reject.index, reject.reason) for reject in rejects] == [(0, Reason.MISSING_FIELD)]


def test_refusals_come_in_the_order_of_the_records() -> None:
    _, rejects = decode_events(CLICKS, incoming(click(price="-1"), b"{", click(), click(user="5")))
    assert [reject.index for reject in rejects] == [0, 1, 3]


@pytest.mark.parametrize("values", [(), (b"{",)])
def test_a_batch_may_hold_nothing_valid(values: tuple[bytes, ...]) -> None:
    batch, rejects = decode_events(CLICKS, incoming(*values))
    assert (len(batch), len(rejects)) == (0, len(values))
    assert batch.to_arrow().num_rows == 0


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=30), st.just(click(price=1)), st.just(click(price=-1))), max_size=10
    )
)
def test_every_record_is_either_kept_or_refused(values: list[bytes]) -> None:
    batch, rejects = decode_events(CLICKS, incoming(*values))
    kept = set(batch.offset.tolist())
    refused = {100 + reject.index for reject in rejects}
    assert kept.isdisjoint(refused)
    assert kept | refused == set(range(100, 100 + len(values)))


def test_the_lake_gives_back_what_it_was_given() -> None:
    batch, _ = decode_events(
        CLICKS,
        incoming(
            click(price=1.5, mobile="true", seen='"2012-12-31T00:00:00Z"'), click(), click(mobile="false")
        ),
    )
    table = batch.to_arrow()
    assert table.schema == arrow_schema(CLICKS)
    assert table.column("price").to_pylist() == [1.5, None, None]
    assert table.column("mobile").to_pylist() == [True, None, False]
    assert table.column("seen").null_count == 2
    back = from_arrow(CLICKS, table)
    for name, column in batch.columns.items():
        assert back.columns[name].dtype == column.dtype
        np.testing.assert_array_equal(back.columns[name], column)
    for name in ("event_time_us", "recorded_time_us", "partition", "offset", "ids", "keys"):
        np.testing.assert_array_equal(getattr(back, name), getattr(batch, name))
        assert getattr(back, name).dtype == getattr(batch, name).dtype


def test_a_table_may_hold_other_columns_in_another_order_and_unit() -> None:
    batch, _ = decode_events(CLICKS, incoming(click(price=1), click()))
    table = batch.to_arrow()
    shuffled = table.select(sorted(table.column_names)).append_column("more", pa.array([1, 2]))
    at = shuffled.schema.get_field_index("_event_time")
    seconds = shuffled.set_column(
        at, "_event_time", table.column("_event_time").cast(pa.timestamp("s", tz="UTC"))
    )
    assert same(from_arrow(CLICKS, seconds), batch)


def test_take_keeps_rows_by_mask_and_by_index() -> None:
    batch, _ = decode_events(CLICKS, incoming(click(price=1), click(price=2), click(price=3)))
    by_mask = batch.take(np.array([True, False, True]))
    assert by_mask.columns["price"].tolist() == [1.0, 3.0]
    assert by_mask.offset.tolist() == [100, 102]
    assert batch.take(np.array([2, 0])).ids.tolist() == ["id2", "id0"]


def test_concat_puts_batches_one_after_the_other() -> None:
    batch, _ = decode_events(CLICKS, incoming(click(price=1), click(price=2), click(price=3)))
    parts = [batch.take(np.array([0])), empty(CLICKS), batch.take(np.array([1, 2]))]
    assert same(concat(parts), batch)


def test_a_reject_says_where_why_and_what() -> None:
    _, rejects = decode_events(CLICKS, incoming(click(price="-1")))
    assert rejects == [Reject(0, "OUT_OF_RANGE", "price is -1.0; it must lie between 0 and 100.")]
