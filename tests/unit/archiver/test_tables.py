"""A table's columns follow from what a message looks like."""

import pyarrow as pa
import pytest
from archiver.adapters.descriptors import describe
from archiver.domain.shapes import Field, Kind, Mapped, Nested, Repeated, Scalar
from archiver.domain.tables import (
    ENVELOPE,
    SchemaError,
    conform,
    derive_schema,
    new_columns,
    platform_path,
    source_path,
)
from google.protobuf.struct_pb2 import Struct
from tidemark.registry.v1.route_pb2 import RouteChanged
from tidemark.scoring.v1.prediction_pb2 import PredictionMade

TEXT, NUMBER = Scalar(Kind.STRING), Scalar(Kind.DOUBLE)
POINT = Nested("Point", (Field("x", NUMBER), Field("y", NUMBER)))
TIME = pa.timestamp("us", tz="UTC")


def columns(*fields: Field) -> dict[str, pa.DataType]:
    schema = derive_schema(Nested("M", fields))
    assert schema.names[: len(ENVELOPE)] == ENVELOPE.names
    return {field.name: field.type for field in schema if field.name not in ENVELOPE.names}


def test_every_table_begins_with_the_envelope() -> None:
    assert ENVELOPE.names == ["_partition", "_offset", "_id", "_event_time", "_recorded_time", "_key"]


def test_nested_messages_are_flattened() -> None:
    outer = Nested("Outer", (Field("at", POINT), Field("name", TEXT)))
    found = columns(Field("outer", outer), Field("id", TEXT))
    assert found == {
        "outer__at__x": pa.float64(),
        "outer__at__y": pa.float64(),
        "outer__name": pa.string(),
        "id": pa.string(),
    }


def test_messages_in_lists_and_maps_are_structs_flattened_alike() -> None:
    segment = Nested("Segment", (Field("from", POINT), Field("name", TEXT)))
    struct = pa.struct([("from__x", pa.float64()), ("from__y", pa.float64()), ("name", pa.string())])
    found = columns(Field("path", Repeated(segment)), Field("by_name", Mapped(TEXT, segment)))
    assert found == {"path": pa.list_(struct), "by_name": pa.map_(pa.string(), struct)}


@pytest.mark.parametrize(
    ("first", "second"),
    [("delay", "Delay"), ("at__x", "at"), ("_offset", "id")],
    ids=["case", "flattened", "envelope"],
)
def test_fields_that_would_share_a_column_are_named(first: str, second: str) -> None:
    message = Nested("M", (Field(first, TEXT), Field(second, POINT if second == "at" else TEXT)))
    with pytest.raises(SchemaError, match=first):
        derive_schema(message)


def test_the_platforms_own_messages_have_tables() -> None:
    prediction = derive_schema(describe(PredictionMade))
    assert prediction.field("request_time").type == TIME
    assert prediction.field("role").type == pa.string()
    assert prediction.field("features__values").type == pa.binary()
    assert prediction.field("context").type == pa.map_(pa.string(), pa.string())
    route = derive_schema(describe(RouteChanged))
    arm = route.field("arms").type.value_type
    assert {"variant", "role", "version__digest"} <= {arm.field(i).name for i in range(arm.num_fields)}


def test_a_message_that_contains_itself_ends_in_json() -> None:
    # Struct > fields (a map of Value) > struct_value > Struct again.
    value = derive_schema(describe(Struct)).field("fields").type.item_type
    kinds = {value.field(i).name: value.field(i).type for i in range(value.num_fields)}
    assert kinds["struct_value"] == pa.string()
    assert kinds["number_value"] == pa.float64()


def test_paths_below_the_lake() -> None:
    assert platform_path("tidemark.predictions.made.v1") == "predictions_made"
    assert platform_path("tidemark.models.registered.v1") == "models_registered"
    assert source_path("flights.departed.v1") == "sources/flights.departed.v1"


def test_a_table_grows_by_the_columns_it_lacks() -> None:
    old, new = pa.schema([("a", pa.int32())]), pa.schema([("a", pa.int32()), ("b", pa.string())])
    assert [column.name for column in new_columns(old, new, "t")] == ["b"]
    assert new_columns(new, old, "t") == []


def test_a_column_that_changed_its_type_is_refused() -> None:
    with pytest.raises(
        SchemaError, match=r"lake table t: column 'a' holds int32, the message now says string"
    ):
        new_columns(pa.schema([("a", pa.int32())]), pa.schema([("a", pa.string())]), "t")


def test_rows_take_the_tables_order_with_nulls_for_what_they_lack() -> None:
    rows = pa.table({"b": ["x"], "a": pa.array([1], pa.int32())})
    wanted = pa.schema([("a", pa.int32()), ("since", pa.float64()), ("b", pa.string())])
    assert conform(rows, wanted).to_pylist() == [{"a": 1, "since": None, "b": "x"}]
