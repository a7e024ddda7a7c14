"""The shadow role scores logged vectors with every shadow of the route, and says what it cannot score."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import structlog
from bus.errors import Unavailable
from bus.events import Event
from bus.memory import MemoryLog, MemoryPublisher
from bus.received import Received, Rejection
from bus.topics import PREDICTIONS_MADE, SHADOW_MADE
from google.protobuf.timestamp_pb2 import Timestamp
from inference.adapters.kafka import ShadowConsumer
from inference.adapters.wire import route_of
from inference.metrics import Metrics
from inference.routes.table import RouteTable, shadows_of
from inference.routes.versions import PackageVersions, any_contract
from inference.shadow.handlers import Logged, Refused, Shadows, ShadowScore, on_predictions_made, shadows_from
from inference_kit.heralds import herald
from inference_kit.stock import MODEL, NOW_US, Stock
from model_package import DeclaredSignature, PackageStore, ScoreSource
from model_package.testing import graph_of, logistic_scores
from onnx import TensorProto, helper
from prometheus_client import CollectorRegistry
from tidemark.common.v1.value_pb2 import Value
from tidemark.registry.v1.route_pb2 import RouteChanged
from tidemark.scoring.v1.feature_vector_pb2 import FeatureVector, RowPosition
from tidemark.scoring.v1.output_pb2 import Output
from tidemark.scoring.v1.prediction_pb2 import PredictionMade, Role

WEIGHTS = (0.5, -0.25, 0.125, 0.0625, 1.0, -1.0, 0.75)
VECTOR = np.array([1, 2, 3, 4, 1, 0.5, 0], dtype=np.float32)


class Stage:
    def __init__(self, folder: Path) -> None:
        self.stock = Stock(folder)
        self.log = MemoryLog()
        self.published: list[RouteChanged] = []
        self.away = False
        self.table: RouteTable[Shadows] = RouteTable(
            versions=PackageVersions(PackageStore(self.stock.packages), any_contract),
            needs=shadows_of,
            build=shadows_from,
            herald=herald(),
            metrics=Metrics(CollectorRegistry()),
            log=structlog.get_logger(),
        )
        self.consumer = ShadowConsumer(self._score, MemoryPublisher(self.log))

    async def _score(self, predictions: Sequence[Logged]) -> tuple[list[ShadowScore], list[Refused]]:
        return await on_predictions_made(
            predictions,
            routes=self.table,
            caught_up=self._caught_up,
            metrics=Metrics(CollectorRegistry()),
            now_s=lambda: 0.0,
        )

    async def _caught_up(self) -> None:
        if self.away:
            raise Unavailable("Kafka is away")
        for route in self.published:
            await self.table.apply(route_of(route.SerializeToString()))

    def route(self, shadows: int, **changes: object) -> RouteChanged:
        versions = [self.stock.version(WEIGHTS, float(bias)) for bias in range(shadows)]
        return self.stock.route(self.stock.version(), shadows=versions, **changes)

    async def follow(self, route: RouteChanged) -> RouteChanged:
        self.published.append(route)
        await self._caught_up()
        return route

    def prediction(self, revision: int, prediction_id: str = "p1", **changes: object) -> PredictionMade:
        vector = {
            "contract_hash": self.stock.project.contract(MODEL).hash,
            "values": VECTOR.astype("<f4").tobytes(),
            "statuses": bytes([1] * 7),
            "rows": [RowPosition(view="user_orders", applied_offsets=[3, -1], recorded_watermark_us=5)],
        }
        fields = {
            "prediction_id": prediction_id,
            "request_key": "order-1",
            "model": MODEL,
            "version": "the champion",
            "variant": "champion",
            "role": Role.ROLE_CHAMPION,
            "score": 0.1,
            "request_time": Timestamp(seconds=7),
            "entities": {"user": "ann"},
            "context": {"basket": Value(number=1)},
            "features": FeatureVector(**{**vector, **changes.pop("features", {})}),  # type: ignore[dict-item]
            "route_revision": revision,
            "label": "will_return",
        }
        return PredictionMade(**{**fields, **changes})  # type: ignore[arg-type]

    def shadow_events(self) -> list[Event]:
        return self.log.events(SHADOW_MADE.name)

    def shadows_made(self) -> list[PredictionMade]:
        return [PredictionMade.FromString(event.data) for event in self.shadow_events()]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def _received(*messages: PredictionMade | bytes) -> list[Received]:
    return [
        Received(
            PREDICTIONS_MADE.name,
            0,
            offset,
            Event(
                id=f"e{offset}",
                type="PredictionMade",
                source="tidemark/inference",
                subject="",
                time_us=NOW_US,
                recorded_time_us=NOW_US + 1,
                key=b"order-1",
                data=message if isinstance(message, bytes) else message.SerializeToString(),
                traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
        )
        for offset, message in enumerate(messages)
    ]


def _reasons(rejections: Sequence[Rejection]) -> list[tuple[int, str]]:
    return [(rejection.received.offset, rejection.reason) for rejection in rejections]


async def test_a_prediction_is_scored_by_every_shadow(stage: Stage) -> None:
    route = await stage.follow(stage.route(shadows=2))
    original = stage.prediction(route.revision)

    assert await stage.consumer(_received(original)) == []

    made = {one.version: one for one in stage.shadows_made()}
    assert set(made) == {shadow.version for shadow in route.shadows}
    for bias, shadow in enumerate(route.shadows):
        one = made[shadow.version]
        expected = logistic_scores(VECTOR[np.newaxis], WEIGHTS, float(bias))[0]
        assert one.score == pytest.approx(float(expected), abs=1e-6)
        assert (one.variant, one.role, one.route_revision) == ("shadow", Role.ROLE_SHADOW, route.revision)


async def test_a_version_does_not_shadow_its_own_answers(stage: Stage) -> None:
    route = await stage.follow(stage.route(shadows=2))
    champion, canary = (shadow.version for shadow in route.shadows)

    await stage.consumer(
        _received(
            stage.prediction(route.revision, "answered-by-champion", version=champion),
            stage.prediction(route.revision, "answered-by-canary", version=canary, variant="canary"),
        )
    )

    assert {(one.prediction_id, one.version) for one in stage.shadows_made()} == {
        ("answered-by-champion", canary),
        ("answered-by-canary", champion),
    }


async def test_a_shadows_fact_repeats_what_it_shadows(stage: Stage) -> None:
    route = await stage.follow(stage.route(shadows=1))
    original = stage.prediction(route.revision)
    (received,) = _received(original)
    await stage.consumer([received])

    (made,), (event,) = stage.shadows_made(), stage.shadow_events()
    for field in (
        "prediction_id",
        "request_key",
        "model",
        "request_time",
        "entities",
        "context",
        "features",
        "label",
    ):
        assert getattr(made, field) == getattr(original, field), field
    assert event.id == f"p1:{route.shadows[0].version}"
    assert (event.key, event.time_us, event.recorded_time_us, event.traceparent) == (
        received.event.key,
        received.event.time_us,
        received.event.recorded_time_us,
        received.event.traceparent,
    )


async def test_a_shadow_tells_its_own_outputs_and_not_those_of_what_it_shadows(stage: Stage) -> None:
    champions = [Output(name="other", datatype="INT64", shape=[1], values=bytes(8))]
    signature = DeclaredSignature(task="embedding", score=ScoreSource(output="twice"))
    graph = graph_of(
        [helper.make_node("Add", ["features", "features"], ["twice"])],
        [("features", TensorProto.FLOAT, [None, 7])],
        [("twice", TensorProto.FLOAT, [None, 7])],
    )
    embedding = stage.stock.graph_version(graph, signature, VECTOR[np.newaxis])
    plain = stage.stock.version(WEIGHTS)
    route = await stage.follow(stage.stock.route(stage.stock.version(), shadows=[embedding, plain]))

    await stage.consumer(_received(stage.prediction(route.revision, outputs=champions)))

    made = {shadow.version: shadow for shadow in stage.shadows_made()}
    (twice,) = made[embedding.version].outputs
    assert (twice.name, twice.datatype, list(twice.shape)) == ("twice", "FP32", [7])
    assert twice.values == (2 * VECTOR).astype("<f4").tobytes()
    assert made[embedding.version].score == pytest.approx(2 * np.linalg.norm(VECTOR))
    assert not made[plain.version].outputs


async def test_scoring_again_publishes_the_same_events(stage: Stage) -> None:
    route = await stage.follow(stage.route(shadows=1))
    received = _received(stage.prediction(route.revision), stage.prediction(route.revision, "p2"))
    await stage.consumer(received)
    await stage.consumer(received)
    events = stage.shadow_events()
    assert events[:2] == events[2:]


async def test_a_model_without_shadows_makes_no_facts(stage: Stage) -> None:
    route = await stage.follow(stage.route(shadows=0))
    assert await stage.consumer(_received(stage.prediction(route.revision))) == []
    assert stage.shadow_events() == []


async def test_a_vector_of_another_contract_is_rejected_once_and_spoils_no_other(stage: Stage) -> None:
    route = await stage.follow(stage.route(shadows=2))
    foreign = stage.prediction(route.revision, "p2", features={"contract_hash": b"x" * 32})

    rejections = await stage.consumer(_received(stage.prediction(route.revision), foreign))

    assert _reasons(rejections) == [(1, "CONTRACT_MISMATCH")]
    assert {made.prediction_id for made in stage.shadows_made()} == {"p1"}


async def test_a_shadow_of_another_contract_leaves_the_others_scores(stage: Stage) -> None:
    other = stage.stock.version(WEIGHTS, 9.0, contract_hash="d" * 64)
    good = stage.stock.version(WEIGHTS, 8.0)
    route = await stage.follow(stage.stock.route(stage.stock.version(), shadows=[other, good]))

    rejections = await stage.consumer(_received(stage.prediction(route.revision)))

    assert _reasons(rejections) == [(0, "CONTRACT_MISMATCH")]
    assert other.version in rejections[0].detail
    assert [made.version for made in stage.shadows_made()] == [good.version]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (VECTOR[:-1].tobytes(), "VECTOR_MISMATCH"),
        (b"", "VECTOR_MISMATCH"),
        (VECTOR.tobytes()[:-1], "MALFORMED_PREDICTION"),
    ],
)
async def test_a_damaged_vector_is_rejected(stage: Stage, values: bytes, reason: str) -> None:
    route = await stage.follow(stage.route(shadows=1))
    damaged = stage.prediction(route.revision, features={"values": values})
    assert _reasons(await stage.consumer(_received(damaged))) == [(0, reason)]


async def test_bytes_that_are_no_prediction_are_rejected(stage: Stage) -> None:
    route = await stage.follow(stage.route(shadows=1))
    rejections = await stage.consumer(_received(b"\xff\xff\xff", stage.prediction(route.revision)))
    assert _reasons(rejections) == [(0, "MALFORMED_PREDICTION")]
    assert len(stage.shadow_events()) == 1


async def test_a_vector_that_has_no_score_is_rejected(stage: Stage) -> None:
    route = await stage.follow(stage.route(shadows=1))
    endless = np.where(np.arange(7) < 2, np.inf, VECTOR).astype("<f4").tobytes()
    bad = stage.prediction(route.revision, features={"values": endless})
    rejections = await stage.consumer(_received(bad, stage.prediction(route.revision, "p2")))
    assert _reasons(rejections) == [(0, "NO_SCORE")]
    assert [made.prediction_id for made in stage.shadows_made()] == ["p2"]


async def test_a_route_not_read_yet_is_read_before_its_predictions_are_scored(stage: Stage) -> None:
    route = stage.route(shadows=1)
    stage.published.append(route)
    assert await stage.consumer(_received(stage.prediction(route.revision))) == []
    assert len(stage.shadow_events()) == 1


async def test_while_routes_cannot_be_read_predictions_wait(stage: Stage) -> None:
    route = stage.route(shadows=1)
    stage.published.append(route)
    stage.away = True
    with pytest.raises(Unavailable):
        await stage.consumer(_received(stage.prediction(route.revision)))
    assert stage.shadow_events() == []


async def test_a_revision_that_was_never_published_is_scored_by_the_newest_there_is(stage: Stage) -> None:
    route = await stage.follow(stage.route(shadows=1))
    assert await stage.consumer(_received(stage.prediction(10_000))) == []
    assert [made.route_revision for made in stage.shadows_made()] == [route.revision]


async def test_a_model_whose_route_was_withdrawn_has_no_shadows(stage: Stage) -> None:
    route = await stage.follow(stage.route(shadows=1))
    stage.published.clear()
    await stage.table.withdraw(MODEL)
    assert await stage.consumer(_received(stage.prediction(route.revision))) == []
    assert stage.shadow_events() == []


async def test_predictions_of_an_older_revision_meet_the_newest_shadows(stage: Stage) -> None:
    old = await stage.follow(stage.route(shadows=1))
    new = await stage.follow(stage.route(shadows=2))
    await stage.consumer(_received(stage.prediction(old.revision)))
    assert {made.route_revision for made in stage.shadows_made()} == {new.revision}
    assert len(stage.shadow_events()) == 2


async def test_a_shadow_that_cannot_be_trusted_leaves_the_shadows_before(stage: Stage) -> None:
    good = await stage.follow(stage.route(shadows=1))
    bad = stage.route(shadows=1)
    bad.shadows[0].digest = "0" * 64
    await stage.follow(bad)
    await stage.consumer(_received(stage.prediction(bad.revision)))
    assert [made.version for made in stage.shadows_made()] == [good.shadows[0].version]
