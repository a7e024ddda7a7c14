"""Protobuf payloads become columns; what cannot be read is refused by name and harms no other record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from feature_store import DefinitionError, FieldType, Protobuf, Reason
from feature_store.expressions import NULL_TIME_US
from feature_store.rejects import Rejects
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.flights.gen.flights.v1.events_pb2 import FlightArrived, FlightDeparted, FlightEnd

if TYPE_CHECKING:
    from google.protobuf.message import Message


def order_class() -> type[Message]:
    """Build a message with one field of every kind, as protoc would generate it."""
    proto = descriptor_pb2.FileDescriptorProto(
        name="shop/order.proto",
        package="shop",
        syntax="proto3",
        dependency=["google/protobuf/timestamp.proto"],
    )
    status = proto.enum_type.add(name="OrderStatus")
    for number, name in enumerate(["ORDER_STATUS_UNSPECIFIED", "ORDER_STATUS_PAID", "OTHER_NAME"]):
        status.value.add(name=name, number=number)
    place = proto.message_type.add(name="Place")
    place.field.add(name="city", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL")
    place.field.add(
        name="floor", number=2, type="TYPE_INT32", label="LABEL_OPTIONAL", proto3_optional=True, oneof_index=0
    )
    place.oneof_decl.add(name="_floor")
    order = proto.message_type.add(name="Order")
    order.oneof_decl.add(name="payer")
    order.oneof_decl.add(name="_gift")
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        ("count", "TYPE_INT64", {}),
        ("weight", "TYPE_FLOAT", {}),
        ("paid", "TYPE_BOOL", {}),
        ("gift", "TYPE_BOOL", {"proto3_optional": True, "oneof_index": 1}),
        ("status", "TYPE_ENUM", {"type_name": ".shop.OrderStatus"}),
        ("person", "TYPE_STRING", {"oneof_index": 0}),
        ("company", "TYPE_STRING", {"oneof_index": 0}),
        ("at", "TYPE_MESSAGE", {"type_name": ".google.protobuf.Timestamp"}),
        ("place", "TYPE_MESSAGE", {"type_name": ".shop.Place"}),
        ("parent", "TYPE_MESSAGE", {"type_name": ".shop.Order"}),
        ("blob", "TYPE_BYTES", {}),
        ("tags", "TYPE_STRING", {"label": "LABEL_REPEATED"}),
    ]
    for number, (name, kind, options) in enumerate(kinds, start=1):
        order.field.add(
            **{"name": name, "number": number, "type": kind, "label": "LABEL_OPTIONAL", **options}
        )
    pool = descriptor_pool.DescriptorPool()
    timestamps = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(timestamps)
    pool.Add(timestamps)
    pool.Add(proto)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))


def closed_class() -> type[Message]:
    """Build a proto2 message, whose enum is closed."""
    proto = descriptor_pb2.FileDescriptorProto(name="shop/closed.proto", package="shop", syntax="proto2")
    status = proto.enum_type.add(name="Status")
    status.value.add(name="UNSPECIFIED", number=0)
    closed = proto.message_type.add(name="Closed")
    closed.field.add(
        name="status", number=1, type="TYPE_ENUM", type_name=".shop.Status", label="LABEL_OPTIONAL"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(proto)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Closed"))


Order: Any = order_class()
Closed: Any = closed_class()
DEPARTED = FlightDeparted(flight_id="f1", carrier="AA", origin="JFK", destination="LAX", distance_miles=2475)
DEPARTED.departed_at.FromMicroseconds(1_357_034_400_000_005)


def decode(kind: Protobuf, *values: bytes) -> tuple[dict[str, list[Any]], list[tuple[int, str, str]]]:
    rejects = Rejects()
    columns = kind.decode(values, rejects)
    refused = [(reject.index, reject.reason, reject.detail) for reject in rejects.in_order()]
    return {name: column.tolist() for name, column in columns.items()}, refused


def test_a_messages_fields_are_known_with_their_types() -> None:
    assert Protobuf(Order).fields == {
        "count": FieldType.NUMBER,
        "weight": FieldType.NUMBER,
        "paid": FieldType.FLAG,
        "gift": FieldType.FLAG,
        "status": FieldType.TEXT,
        "person": FieldType.TEXT,
        "company": FieldType.TEXT,
        "at": FieldType.TIME,
        "place__city": FieldType.TEXT,
        "place__floor": FieldType.NUMBER,
    }
    assert Protobuf(Order).name == "protobuf shop.Order"


def test_values_of_every_kind_become_columns() -> None:
    order = Order(
        count=3,
        weight=0.5,
        paid=True,
        gift=False,
        status=1,
        company="ACME",
        place={"city": "Rome", "floor": 0},
    )
    order.at.FromMicroseconds(-1)
    columns, refused = decode(Protobuf(Order), order.SerializeToString())
    assert refused == []
    assert columns == {
        "count": [3.0],
        "weight": [0.5],
        "paid": [1],
        "gift": [0],
        "status": ["PAID"],
        "person": [None],
        "company": ["ACME"],
        "at": [-1],
        "place__city": ["Rome"],
        "place__floor": [0.0],
    }


def test_what_is_not_set_is_null_where_presence_is_known_and_zero_where_it_is_not() -> None:
    columns, refused = decode(Protobuf(Order), b"")
    assert refused == []
    assert np.isnan(columns.pop("place__floor")).all()
    assert columns == {
        "count": [0.0],
        "weight": [0.0],
        "paid": [0],
        "gift": [-1],
        "status": ["UNSPECIFIED"],
        "person": [None],
        "company": [None],
        "at": [NULL_TIME_US],
        "place__city": [None],
    }


def test_the_epoch_itself_is_a_time() -> None:
    order = Order()
    order.at.SetInParent()
    assert decode(Protobuf(Order), order.SerializeToString())[0]["at"] == [0]


def test_an_enum_becomes_its_name_without_the_prefix_and_unspecified_when_unknown() -> None:
    values = [FlightArrived(end=end).SerializeToString() for end in FlightEnd.values()]
    from_the_future = FlightArrived.FromString(b"\x48\x63").SerializeToString()
    columns, refused = decode(Protobuf(FlightArrived), *values, from_the_future)
    assert columns["end"] == ["UNSPECIFIED", "ARRIVED", "CANCELLED", "DIVERTED", "UNSPECIFIED"]
    assert decode(Protobuf(Order), Order(status=2).SerializeToString())[0]["status"] == ["OTHER_NAME"]
    assert refused == []


def test_fields_of_a_later_schema_are_passed_over() -> None:
    later = DEPARTED.SerializeToString() + b"\xf2\x07\x03new"
    columns, refused = decode(Protobuf(FlightDeparted), later)
    assert (columns["flight_id"], refused) == (["f1"], [])


def test_another_message_whose_bytes_can_be_read_is_refused_and_its_neighbours_kept() -> None:
    good, other = DEPARTED.SerializeToString(), FlightArrived(flight_id="f2")
    other.ended_at.FromMicroseconds(5)
    columns, refused = decode(Protobuf(FlightDeparted), good, other.SerializeToString(), good)
    assert [columns["flight_id"][0], columns["flight_id"][2]] == ["f1", "f1"]
    declared = "another type than flights.v1.FlightDeparted declares"
    assert refused == [(1, Reason.WRONG_TYPE, f"departure_delay_minutes was written as {declared}.")]


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (b"\x0d\x00\x00\x00\x00", "count"),
        (b"\x2a\x01x", "status"),
        (b"\x4a\x02\x08\x01", "place__city"),
        (b"\x60\x01", "tags"),
    ],
)
def test_a_field_written_as_another_type_is_refused_by_name(payload: bytes, name: str) -> None:
    _, [(_, reason, detail)] = decode(Protobuf(Order), payload)
    assert reason == Reason.WRONG_TYPE
    assert detail == f"{name} was written as another type than shop.Order declares."


def test_a_closed_enums_value_of_a_later_schema_is_read_as_not_set() -> None:
    columns, refused = decode(Protobuf(Closed), b"\x08\x63")
    assert (columns["status"], refused) == ([None], [])


@pytest.mark.parametrize("damaged", [b"\x0a\xff", b"\x00", b"\xff" * 12, b"\x0a\x02\xc3\x28"], ids=bytes.hex)
def test_bytes_that_are_no_message_are_refused_and_their_neighbours_kept(damaged: bytes) -> None:
    good = DEPARTED.SerializeToString()
    columns, refused = decode(Protobuf(FlightDeparted), good, damaged, good)
    assert [columns["flight_id"][0], columns["flight_id"][2]] == ["f1", "f1"]
    [(index, reason, detail)] = refused
    assert (index, reason) == (1, Reason.MALFORMED_PAYLOAD)
    assert f"The {len(damaged)} bytes are no flights.v1.FlightDeparted" in detail


def test_truncation_anywhere_inside_a_field_is_refused() -> None:
    whole = DEPARTED.SerializeToString()
    _, refused = decode(Protobuf(FlightDeparted), *[whole[:length] for length in range(len(whole))])
    between_fields = len(whole) - len(refused)
    assert between_fields == len(FlightDeparted.FromString(whole).ListFields())


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused_by_name(number: float) -> None:
    damaged = FlightDeparted(flight_id="f1", departure_delay_minutes=number).SerializeToString()
    _, refused = decode(Protobuf(FlightDeparted), damaged)
    detail = f"departure_delay_minutes is {number}; a number must be finite."
    assert refused == [(0, Reason.NOT_FINITE, detail)]


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(2**62, 0), (-(2**62), 0), (0, -1), (0, 1_000_000_000), (253_402_300_800, 0)]
)
def test_a_timestamp_that_is_no_time_is_refused_by_name(seconds: int, nanos: int) -> None:
    damaged = FlightDeparted(departed_at=timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos))
    _, [(_, reason, detail)] = decode(Protobuf(FlightDeparted), damaged.SerializeToString())
    assert reason == Reason.TIME_OUT_OF_RANGE
    assert detail == f"departed_at is {seconds} seconds and {nanos} nanos, which is no time."


@settings(deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), st.just(DEPARTED.SerializeToString())), max_size=8))
def test_any_bytes_are_read_or_refused_and_never_raise(values: list[bytes]) -> None:
    columns, refused = decode(Protobuf(FlightDeparted), *values)
    assert all(len(column) == len(values) for column in columns.values())
    assert len({index for index, _, _ in refused}) == len(refused)
    whole = {index for index, value in enumerate(values) if value == DEPARTED.SerializeToString()}
    assert whole.isdisjoint(index for index, _, _ in refused)


@settings(deadline=None)
@given(
    st.text(max_size=8),
    st.one_of(st.none(), st.text(max_size=8)),
    st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_what_is_sent_is_what_is_read(flight_id: str, tail: str | None, at_us: int, delay: float) -> None:
    message = FlightDeparted(flight_id=flight_id, tail_number=tail, departure_delay_minutes=delay)
    message.departed_at.FromMicroseconds(at_us)
    columns, refused = decode(Protobuf(FlightDeparted), message.SerializeToString())
    assert refused == []
    assert (columns["flight_id"], columns["tail_number"], columns["departed_at"]) == (
        [flight_id],
        [tail],
        [at_us],
    )
    assert columns["departure_delay_minutes"] == [delay]


@pytest.mark.parametrize("wrong", [DEPARTED, str, "flights.v1.FlightDeparted"])
def test_what_is_no_message_class_is_refused(wrong: Any) -> None:
    with pytest.raises(DefinitionError, match=r"no generated message class.*Write the class itself"):
        Protobuf(wrong)
