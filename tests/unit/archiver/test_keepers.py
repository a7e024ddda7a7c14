"""Records become rows from which they can be made again."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from archiver.adapters.platform import KEPT_TOPICS, PlatformKeeper
from archiver.adapters.sources import SourceKeeper
from archiver.domain.tables import SchemaError
from bus.events import Event
from bus.received import Received
from bus.topics import MODELS_REGISTERED, PREDICTIONS_MADE, ROUTES_CHANGED, VARIANTS_COMPARED
from feature_store import Check, Json, Pseudonyms, Source
from feature_store.events import from_arrow
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from privacy.erased import ErasedSubjects, Erasure
from tidemark.common.v1.value_pb2 import Value
from tidemark.monitoring.v1.variants_pb2 import BinaryMetrics, VariantsCompared
from tidemark.registry.v1.model_pb2 import ModelRegistered
from tidemark.registry.v1.route_pb2 import Arm, RouteChanged, VersionRef
from tidemark.scoring.v1.feature_vector_pb2 import FeatureVector
from tidemark.scoring.v1.prediction_pb2 import ROLE_CHAMPION, ROLE_SHADOW, PredictionMade, Role

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PREDICTIONS = PlatformKeeper(PREDICTIONS_MADE)
TEXTS = st.text(max_size=8)
TIMES_US = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
DOUBLES = st.floats(allow_nan=False)


def received(
    data: bytes, *, offset: int = 0, topic: str = "t", tombstone: bool = False, **event: Any
) -> Received:
    given_event = {"time_us": 1_000_000, "recorded_time_us": 2_000_000, "key": b"k", **event}
    return Received(
        topic, 3, offset, Event(f"id-{offset}", "T", "s", "", data=data, tombstone=tombstone, **given_event)
    )


def timestamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1000)


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def values() -> st.SearchStrategy[Value]:
    return st.one_of(
        DOUBLES.map(lambda number: Value(number=number)),
        TEXTS.map(lambda text: Value(text=text)),
        st.booleans().map(lambda flag: Value(flag=flag)),
        TIMES_US.map(lambda time_us: Value(time=timestamp(time_us))),
    )


@st.composite
def predictions(draw: st.DrawFn) -> PredictionMade:
    message = PredictionMade(
        prediction_id=draw(TEXTS),
        role=draw(st.sampled_from(Role.values())),
        score=draw(DOUBLES),
        entities=draw(st.dictionaries(TEXTS, TEXTS, max_size=3)),
        context=draw(st.dictionaries(TEXTS, values(), max_size=3)),
        route_revision=draw(st.integers(-(2**63), 2**63 - 1)),
    )
    if draw(st.booleans()):
        message.request_time.CopyFrom(timestamp(draw(TIMES_US)))
    if draw(st.booleans()):
        message.features.CopyFrom(FeatureVector(contract_hash=draw(st.binary(max_size=4))))
        for view in draw(st.lists(TEXTS, max_size=2)):
            message.features.rows.add(
                view=view, applied_offsets=draw(st.lists(st.integers(-1, 2**62), max_size=3))
            )
    return message


def value_of(text: str) -> Value:
    return json_format.Parse(text, Value())


def prediction_of(row: dict[str, Any]) -> PredictionMade:
    message = PredictionMade(
        prediction_id=row["prediction_id"],
        role=Role.Value(f"ROLE_{row['role']}"),
        score=row["score"],
        entities=dict(row["entities"]),
        context={name: value_of(text) for name, text in row["context"]},
        route_revision=row["route_revision"],
    )
    if row["request_time"] is not None:
        message.request_time.CopyFrom(timestamp(microseconds(row["request_time"])))
    if row["features__values"] is not None:
        message.features.CopyFrom(FeatureVector(contract_hash=row["features__contract_hash"]))
        for kept in row["features__rows"]:
            message.features.rows.add(view=kept["view"], applied_offsets=kept["applied_offsets"])
    return message


@settings(deadline=None)
@given(st.lists(predictions(), max_size=3))
def test_a_prediction_can_be_made_again_from_its_row(messages: list[PredictionMade]) -> None:
    records = [received(message.SerializeToString(), offset=i) for i, message in enumerate(messages)]
    kept = PREDICTIONS.keep(records)
    assert [prediction_of(row) for row in kept.rows.to_pylist()] == messages
    assert kept.rejections == []


def test_the_envelope_is_kept() -> None:
    record = received(
        b"", offset=9, time_us=1_364_774_400_000_001, recorded_time_us=1_364_774_400_000_002, key=b"\xff"
    )
    (row,) = PREDICTIONS.keep([record]).rows.to_pylist()
    assert (row["_partition"], row["_offset"], row["_id"], row["_key"]) == (3, 9, "id-9", b"\xff")
    assert microseconds(row["_event_time"]) == 1_364_774_400_000_001
    assert microseconds(row["_recorded_time"]) == 1_364_774_400_000_002


@pytest.mark.parametrize("topic", KEPT_TOPICS, ids=lambda topic: topic.name)
def test_every_platform_topic_keeps_an_empty_message(topic: Any) -> None:
    kept = PlatformKeeper(topic).keep([received(b"")])
    assert kept.rows.num_rows == 1
    assert kept.rows.schema == PlatformKeeper(topic).table.schema


def test_lists_of_messages_and_optional_numbers_are_kept() -> None:
    route = RouteChanged(
        model="m", arms=[Arm(variant="champion", role=ROLE_CHAMPION, version=VersionRef(version="v1"))]
    )
    (row,) = PlatformKeeper(ROUTES_CHANGED).keep([received(route.SerializeToString())]).rows.to_pylist()
    assert row["arms"][0]["role"] == "CHAMPION"
    assert row["arms"][0]["version__version"] == "v1"
    compared = VariantsCompared(champion=BinaryMetrics(labelled=2, roc_auc=0.0))
    (row,) = PlatformKeeper(VARIANTS_COMPARED).keep([received(compared.SerializeToString())]).rows.to_pylist()
    assert row["champion__roc_auc"] == 0.0
    assert row["champion__log_loss"] is None
    assert row["challenger__labelled"] is None
    registered = ModelRegistered(metrics={"b": 2, "a": 1})
    (row,) = (
        PlatformKeeper(MODELS_REGISTERED).keep([received(registered.SerializeToString())]).rows.to_pylist()
    )
    assert row["metrics"] == [("a", 1.0), ("b", 2.0)]


def test_a_tombstones_fields_are_null() -> None:
    (row,) = PlatformKeeper(ROUTES_CHANGED).keep([received(b"", tombstone=True)]).rows.to_pylist()
    assert row["_key"] == b"k"
    assert {value for name, value in row.items() if not name.startswith("_")} == {None}


def test_a_symbol_from_the_future_is_unspecified() -> None:
    future = PredictionMade(role=99).SerializeToString()  # type: ignore[arg-type]
    (row,) = PREDICTIONS.keep([received(future)]).rows.to_pylist()
    assert row["role"] == "UNSPECIFIED"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xff", "MALFORMED_MESSAGE"),
        (PredictionMade(prediction_id="x").SerializeToString()[:-1], "MALFORMED_MESSAGE"),
        (PredictionMade(request_time=Timestamp(seconds=2**62)).SerializeToString(), "UNSTORABLE_MESSAGE"),
        (
            PredictionMade(context={"t": Value(time=Timestamp(seconds=2**62))}).SerializeToString(),
            "UNSTORABLE_MESSAGE",
        ),
    ],
    ids=["garbage", "truncated", "time", "time in a map"],
)
def test_what_cannot_be_kept_is_rejected_and_its_neighbours_are_kept(data: bytes, reason: str) -> None:
    good = PredictionMade(role=ROLE_SHADOW).SerializeToString()
    records = [received(good), received(data, offset=1), received(b"", offset=2)]
    kept = PREDICTIONS.keep(records)
    assert kept.rows.column("_offset").to_pylist() == [0, 2]
    assert [(one.received.offset, one.reason) for one in kept.rejections] == [(1, reason)]


CLICKS = Source(
    "clicks.v1",
    format=Json({"page": "text", "seconds": "number", "at": "time"}),
    event_time="at",
    checks=[Check.required("page")],
)


def click(offset: int, **fields: Any) -> Received:
    document = {"page": "home", "seconds": 1.5, "at": "2013-01-01T00:00:00Z", **fields}
    known_us = 1_356_998_400_000_000
    return received(json.dumps(document).encode(), offset=offset, recorded_time_us=known_us)


def test_a_source_keeps_what_features_see_and_counts_the_rest() -> None:
    records = [click(0), click(1, page=None), click(2, at="2014-01-01T00:00:00Z"), click(3, seconds=None)]
    kept = SourceKeeper(CLICKS).keep(records)
    batch = from_arrow(CLICKS, kept.rows)
    assert batch.offset.tolist() == [0, 3]
    assert batch.columns["page"].tolist() == ["home", "home"]
    assert batch.event_time_us.tolist() == [1_356_998_400_000_000] * 2
    assert kept.left_out == {"MISSING_FIELD": 1, "FUTURE_EVENT": 1}
    assert kept.rejections == ()


def test_a_sources_fields_that_would_share_a_column_are_named() -> None:
    alike = Source("clicks.v1", format=Json({"page": "text", "Page": "text"}), event_time=None)
    with pytest.raises(SchemaError, match=r"source clicks\.v1: fields 'page' and 'Page'"):
        SourceKeeper(alike)


def test_an_event_that_arrived_twice_is_two_rows() -> None:
    again = click(1)
    assert SourceKeeper(CLICKS).keep([again, again]).rows.num_rows == 2


NAMES = Pseudonyms(b"a secret of sixteen bytes or more")


def erased(entity: str, key: str, until_us: int) -> ErasedSubjects:
    found = ErasedSubjects({entity: {"t": frozenset({"page"})}}, NAMES)
    found.add(Erasure("e-1", entity, NAMES.subject(entity, key), NAMES.key_id, until_us))
    return found


def test_events_of_the_erased_are_left_out_up_to_their_time_and_counted() -> None:
    source = Source("t", Json({"page": "text"}), event_time=None)
    keeper = SourceKeeper(source, erased=erased("page", "home", 2_000_000))
    records = [
        received(b'{"page": "home"}', offset=0),
        received(b'{"page": "home"}', offset=1, recorded_time_us=2_000_001),
        received(b'{"page": "away"}', offset=2),
    ]
    kept = keeper.keep(records)
    assert kept.rows["_offset"].to_pylist() == [1, 2]
    assert kept.left_out == {"ERASED": 1}


def test_predictions_about_the_erased_are_left_out_by_the_time_of_the_request() -> None:
    keeper = PlatformKeeper(PREDICTIONS_MADE, erased("customer", "ann", 10_000_000))
    made = [
        PredictionMade(entities={"customer": name}, request_time=timestamp(time_us))
        for name, time_us in (("ann", 10_000_000), ("ann", 10_000_001), ("bob", 1))
    ]
    records = [
        received(one.SerializeToString(), offset=number, recorded_time_us=20_000_000)
        for number, one in enumerate(made)
    ]
    kept = keeper.keep(records)
    assert kept.rows["_offset"].to_pylist() == [1, 2]
    assert kept.left_out == {"ERASED": 1}


def test_what_is_sensitive_is_not_in_a_row() -> None:
    source = Source(
        "t",
        Json({"page": "text", "user": "text"}),
        event_time=None,
        sensitive={"page": "drop", "user": "hash"},
    )
    kept = SourceKeeper(source, NAMES).keep([received(b'{"page": "home", "user": "ann"}', key=b"ann")])
    assert kept.rows.column_names[-1] == "user"
    assert kept.rows["user"].to_pylist() == [NAMES.of("ann")]
    assert kept.rows["_key"].to_pylist() == [NAMES.of("ann").encode()]
