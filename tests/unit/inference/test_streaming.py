"""Requests that come as events get what callers get, or a dead letter by name; what is away is waited for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from bus.errors import Unavailable
from bus.events import Event
from bus.received import Received, Rejection
from bus.topics import PREDICTIONS_MADE, SCORING_REQUESTED
from bus.transactions import Made
from feature_store import Pseudonyms
from feature_store.concealment import Concealment
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows, MemoryRowReader
from google.protobuf.timestamp_pb2 import Timestamp
from inference.adapters.kafka import ScoringConsumer
from inference.adapters.redis import AwaitedRows, PatientRows
from inference.adapters.wire import route_of
from inference.adapters.wire_predictions import prediction_made
from inference.clocks import stopwatch_s
from inference.domain.assignment import choose, point
from inference.domain.requests import Asked
from inference.metrics import Metrics
from inference.routes.serving import ServedModel, ServedModels
from inference.routes.table import RouteTable, arms_of
from inference.routes.versions import PackageVersions
from inference.scored import Scored
from inference.stream.handlers import Refused, on_scoring_requested
from inference_kit.heralds import herald
from inference_kit.poisons import log_of_basket
from inference_kit.stock import MODEL, NOW_US, SAMPLED_MODEL, Stock, question
from model_package import PackageStore
from prometheus_client import CollectorRegistry
from tidemark.common.v1.value_pb2 import Value
from tidemark.scoring.v1.feature_vector_pb2 import FeatureStatus
from tidemark.scoring.v1.prediction_pb2 import PredictionMade
from tidemark.scoring.v1.scoring_requested_pb2 import ScoringRequested


class Stage:
    """The stream role's handler on rows and routes in memory."""

    def __init__(self, folder: Path, concealment: Concealment | None = None) -> None:
        self.stock = Stock(folder)
        self.rows = MemoryFeatureRows()
        self.reader = MemoryRowReader(self.rows)
        self.published: list[Any] = []
        self.scored: list[Scored] = []
        self.metrics = Metrics(CollectorRegistry())
        models = ServedModels(self.stock.project, concealment)
        self.routes: RouteTable[ServedModel] = RouteTable(
            versions=PackageVersions(PackageStore(self.stock.packages), models.contract_hash),
            needs=arms_of,
            build=models.build,
            herald=herald(),
            metrics=self.metrics,
            log=structlog.get_logger(),
        )
        self.routes.complete()
        self.consumer = ScoringConsumer(self._score)

    async def _score(self, requests: Sequence[Asked]) -> Sequence[Scored | Refused]:
        answers = await on_scoring_requested(
            requests,
            routes=self.routes,
            caught_up=self.catch_up,
            rows=PatientRows(AwaitedRows(self.reader)),
            metrics=self.metrics,
            now_s=stopwatch_s,
        )
        self.scored = [one for one in answers if isinstance(one, Scored)]
        return answers

    async def catch_up(self) -> None:
        for route in self.published:
            await self.routes.apply(route_of(route.SerializeToString()))

    async def follow(self, *biases: float, model: str = MODEL, **changes: Any) -> None:
        versions = [self.stock.version(bias=bias, model=model) for bias in biases or (0.0,)]
        self.published.append(self.stock.route(*versions, model=model, **changes))
        await self.catch_up()

    async def apply(self, *users: str) -> None:
        applier = Applier(self.stock.project.views.values(), self.rows, MemoryClaims())
        await self.stock.apply(applier, [{"user": user, "item": "tea"} for user in users])

    async def answered(self, *events: Event) -> tuple[list[tuple[Event, PredictionMade]], list[Rejection]]:
        topic = SCORING_REQUESTED.name
        answers = await self.consumer([Received(topic, 0, at, event) for at, event in enumerate(events)])
        made = [one for one in answers if isinstance(one, Made)]
        assert {one.topic for one in made} <= {PREDICTIONS_MADE.name}
        return [(one.event, PredictionMade.FromString(one.event.data)) for one in made], [
            one for one in answers if isinstance(one, Rejection)
        ]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def requested(name: str, user: str = "ann", **changes: Any) -> Event:
    told = question(user, "tea")
    fields = {
        "model": MODEL,
        "entities": told.entities,
        "context": told.context,
        "request_key": f"key-{name}",
    }
    message = ScoringRequested(**{**fields, **changes})  # type: ignore[arg-type]
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    return Event.of(
        message, id=name, source="t", key="k", time_us=NOW_US, recorded_time_us=NOW_US + 5, traceparent=trace
    )


async def test_a_request_becomes_the_prediction_that_a_caller_would_have_got(stage: Stage) -> None:
    await stage.follow(0.5)
    await stage.apply("ann")
    [(event, made)], refused = await stage.answered(requested("a"))
    assert refused == []
    assert (event.id, event.key, event.time_us, event.recorded_time_us) == ("a", b"key-a", NOW_US, NOW_US)
    assert (event.type, event.source) == ("tidemark.scoring.v1.PredictionMade", "tidemark/inference")
    assert event.traceparent == requested("a").traceparent
    assert made == prediction_made(stage.scored[0])
    assert (made.prediction_id, made.request_key, made.variant) == ("a", "key-a", "champion")
    assert FeatureStatus.FEATURE_STATUS_PRESENT in made.features.statuses
    assert made.features.rows


async def test_what_a_request_leaves_out_is_its_events(stage: Stage) -> None:
    await stage.follow()
    asked = [
        requested("a", request_key=""),
        requested("b", request_time=Timestamp(seconds=NOW_US // 1_000_000 - 60)),
        requested("c", request_time=Timestamp(seconds=NOW_US // 1_000_000 + 60)),
    ]
    found, _ = await stage.answered(*asked)
    assert [event.key for event, _ in found] == [b"a", b"key-b", b"key-c"]
    assert [event.time_us - NOW_US for event, _ in found] == [0, -60_000_000, 60_000_000]
    # Of the future: it became known when its request did.
    assert [event.recorded_time_us - NOW_US for event, _ in found] == [0, -60_000_000, 5]


async def test_a_batch_is_answered_in_order_whatever_arms_answer(stage: Stage) -> None:
    await stage.follow(-1.0, 1.0)
    await stage.apply("ann", "bob")
    names = [f"r{number}" for number in range(600)]
    found, refused = await stage.answered(
        *[requested(name, ("ann", "bob", "nobody")[at % 3]) for at, name in enumerate(names)]
    )
    assert refused == []
    assert [event.id for event, _ in found] == names
    for _, made in found:
        arm = choose((5_000, 5_000), point("pepper", made.request_key))
        assert made.variant == ("champion", "arm-1")[arm]
    assert [made for _, made in found] == [prediction_made(one) for one in by_id(stage.scored, names)]
    assert sum(made.features.rows[0].view == "user_orders" for _, made in found) == 400


def by_id(scored: Sequence[Scored], names: Sequence[str]) -> list[Scored]:
    found = {one.asked.prediction_id: one for one in scored}
    return [found[name] for name in names]


@pytest.mark.parametrize(
    ("event", "reason", "says"),
    [
        (requested("x", model="nobody"), "UNKNOWN_MODEL", "nobody"),
        (requested("x", entities={"user": "ann"}), "INVALID_REQUEST", "entities[item]"),
        (requested("x", context={"gift": Value()}), "INVALID_REQUEST", "context[gift]"),
        (requested("x" * 129), "INVALID_REQUEST", "prediction_id"),
        (Event("x", "T", "s", "", NOW_US, NOW_US, b"k", b"\xff\xff"), "MALFORMED_REQUEST", ""),
    ],
)
async def test_what_can_never_be_answered_is_refused_by_name_and_spoils_no_other(
    stage: Stage, event: Event, reason: str, says: str
) -> None:
    await stage.follow()
    found, [refused] = await stage.answered(requested("a"), event, requested("b"))
    assert [made.prediction_id for _, made in found] == ["a", "b"]
    assert (refused.received.offset, refused.reason) == (1, reason)
    assert says in refused.detail


async def test_unreadable_rows_are_waited_for(stage: Stage) -> None:
    await stage.follow()
    stage.reader.away = True
    with pytest.raises(Unavailable, match="Redis"):
        await stage.answered(requested("a"))


async def test_a_route_that_was_published_before_its_request_is_read_first(stage: Stage) -> None:
    stage.published.append(stage.stock.route(stage.stock.version()))
    found, refused = await stage.answered(requested("a"))
    assert (len(found), refused) == (1, [])


async def test_a_model_whose_version_cannot_be_loaded_is_waited_for(stage: Stage) -> None:
    version = stage.stock.version()
    version.digest = "0" * 64
    stage.published.append(stage.stock.route(version))
    with pytest.raises(Unavailable, match="not ready"):
        await stage.answered(requested("a"))


async def test_a_vector_without_a_score_is_refused_alone(stage: Stage, tmp_path: Path) -> None:
    stage.published.append(stage.stock.route(log_of_basket(tmp_path / "log", stage.stock)))
    bad = {**question().context, "basket": Value(number=-1.0)}
    found, refused = await stage.answered(requested("a"), requested("b", context=bad), requested("c"))
    assert [made.prediction_id for _, made in found] == ["a", "c"]
    assert [(one.received.event.id, one.reason) for one in refused] == [("b", "NO_SCORE")]


async def test_hashed_keys_and_inputs_leave_hashed_and_unknown_ones_are_left_out(tmp_path: Path) -> None:
    concealment = Concealment(
        Pseudonyms(b"k" * 32),
        known_entities=frozenset({"user", "item"}),
        hashed_entities=frozenset({"user"}),
        known_inputs=frozenset({"asked_at", "gift", "basket", "channel"}),
        hashed_inputs=frozenset({"channel"}),
        hashed_request_keys=frozenset({"will_return"}),
    )
    stage = Stage(tmp_path, concealment)
    await stage.follow()
    told = dict(question("ann", "tea").entities) | {"passport": "AB123"}
    [(event, made)], _ = await stage.answered(requested("a", entities=told))
    assert made.entities["user"] == concealment.pseudonyms.of("ann")
    assert "passport" not in made.entities
    assert made.context["channel"].text == concealment.pseudonyms.of("web")
    assert made.request_key == event.key.decode() == concealment.pseudonyms.of("key-a")
    assert b"AB123" not in event.data


async def test_streamed_answers_are_published_whatever_share_of_served_ones_is_logged(stage: Stage) -> None:
    await stage.follow(model=SAMPLED_MODEL)
    found, _ = await stage.answered(*[requested(f"r{number}", model=SAMPLED_MODEL) for number in range(50)])
    assert len(found) == 50
    assert {made.log_share for _, made in found} == {0.0}
