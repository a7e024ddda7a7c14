"""The plane answers what arrives together together, bounds what it lets in, and leaves nobody waiting."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from feature_store import Pseudonyms
from feature_store.concealment import Concealment
from feature_store.online import ReadRows
from feature_store.rows import key_prefix
from inference.adapters.wire import asked_of, route_of
from inference.adapters.wire_predictions import prediction_made
from inference.domain.admission import Admission, Bounds
from inference.domain.assignment import point
from inference.domain.batching import Line
from inference.domain.conduct import Patience
from inference.domain.errors import (
    DeadlinePassed,
    FeaturesUnavailable,
    InvalidRequest,
    LogUnavailable,
    NoScore,
    Overloaded,
    ScoringError,
    UnknownModel,
)
from inference.domain.requests import Asked
from inference.metrics import Metrics
from inference.routes.serving import ServedModel, ServedModels
from inference.routes.table import RouteTable, arms_of
from inference.routes.versions import PackageVersions
from inference.scored import Scored
from inference.serve.lanes import Intake
from inference.serve.plane import ScoringPlane
from inference_kit.companies import AT_ONCE
from inference_kit.heralds import herald
from inference_kit.poisons import log_of_basket
from inference_kit.stock import DURABLE_MODEL, NOW_US, SAMPLED_MODEL, STRICT_MODEL, Stock, question
from model_package import PackageStore
from prometheus_client import CollectorRegistry

# A lane leaves room for others: of seven places it takes six.
LIMIT, ROOM, BATCH = 7, 6, 4
DEFAULTED = 4


class HeldRows:
    """Feature rows that come when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Sequence[bytes]] = []
        self._waiting: list[Callable[[ReadRows], None]] = []

    def request(self, keys: Sequence[bytes], on_rows: Callable[[ReadRows], None]) -> None:
        self.asked.append(keys)
        self._waiting.append(on_rows)

    def come(self, *, readable: bool = True, rows: Sequence[bytes | None] | None = None) -> None:
        number = len(self.asked) - len(self._waiting)
        found = [None] * len(self.asked[number]) if rows is None else rows
        self._waiting.pop(0)(ReadRows(found, readable=readable))


class ListedPredictions:
    """A prediction log in a list."""

    def __init__(self) -> None:
        self.offered: list[Scored] = []
        self.written: list[Scored] = []
        self.away = False

    def offer(self, scored: Scored) -> None:
        self.offered.append(scored)

    async def write(self, scored: Scored) -> None:
        if self.away:
            raise LogUnavailable("away")
        self.written.append(scored)


class Stage:
    def __init__(self, folder: Path, concealment: Concealment | None = None) -> None:
        self.stock = Stock(folder)
        self.rows = HeldRows()
        self.predictions = ListedPredictions()
        self.registry = CollectorRegistry()
        self.now_s = 100.0
        metrics, log = Metrics(self.registry), structlog.get_logger()
        models = ServedModels(self.stock.project, concealment)
        self.routes: RouteTable[ServedModel] = RouteTable(
            versions=PackageVersions(PackageStore(self.stock.packages), models.contract_hash),
            needs=arms_of,
            build=models.build,
            herald=herald(),
            metrics=metrics,
            log=log,
        )
        self.plane = ScoringPlane(
            routes=self.routes,
            rows=self.rows,
            predictions=self.predictions,
            intake=Intake(Line(limit=LIMIT, batch=BATCH), Admission(Bounds()), Patience(), AT_ONCE),
            metrics=metrics,
            now_s=lambda: self.now_s,
            log=log,
        )

    async def follow(self, **changes: Any) -> None:
        model = changes.get("model", "returns")
        versions = changes.pop("versions", [self.stock.version(model=model)])
        await self.routes.apply(route_of(self.stock.route(*versions, **changes).SerializeToString()))

    def ask(
        self, tasks: asyncio.TaskGroup, *names: str, time_left_s: float | None = None, **changes: Any
    ) -> list[asyncio.Task[Scored | ScoringError]]:
        async def score(asked: Asked) -> Scored | ScoringError:
            try:
                return await self.plane.score(asked, time_left_s)
            except ScoringError as error:
                return error

        return [tasks.create_task(score(_asked(name, **changes))) for name in names]


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path)
    await stage.follow()
    stage.routes.complete()
    return stage


def _asked(name: str, **changes: Any) -> Asked:
    request = question(name, **{"prediction_id": name, **changes})
    return asked_of(request, now_us=NOW_US, new_id=lambda: "generated")


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_first_request_waits_for_nobody(stage: Stage) -> None:
    async with asyncio.TaskGroup() as tasks:
        (asked,) = stage.ask(tasks, "a")
        await _turns(1)
        assert len(stage.rows.asked) == 1
        stage.rows.come()
    assert isinstance(asked.result(), Scored)


async def test_what_arrives_while_a_batch_is_scored_is_the_next_batch(stage: Stage) -> None:
    async with asyncio.TaskGroup() as tasks:
        first = stage.ask(tasks, "a")
        await _turns()
        rest = stage.ask(tasks, "b", "c", "d")
        await _turns()
        assert len(stage.rows.asked) == 1
        stage.rows.come()
        await _turns()
        assert len(stage.rows.asked) == 2
        stage.rows.come()
    ids = [task.result().asked.prediction_id for task in first + rest]  # type: ignore[union-attr]
    assert ids == ["a", "b", "c", "d"]
    assert [scored.asked.prediction_id for scored in stage.predictions.offered] == ids


def prefix(stage: Stage, view: str) -> bytes:
    return key_prefix(view, stage.stock.project.views[view].digest)


async def test_what_is_kept_hashed_is_looked_up_and_logged_hashed(tmp_path: Path) -> None:
    names = Pseudonyms(b"a secret of sixteen bytes or more")
    inputs = frozenset({"asked_at", "gift", "basket", "channel"})
    entities, hashed = frozenset({"user", "item"}), frozenset({"user"})
    labels = frozenset({"will_return"})
    stage = Stage(tmp_path, Concealment(names, entities, hashed, inputs, frozenset({"channel"}), labels))
    await stage.follow()
    stage.routes.complete()
    async with asyncio.TaskGroup() as tasks:
        (asked,) = stage.ask(tasks, "ann", request_key="order-of-ann")
        await _turns()
        keys = list(stage.rows.asked[0])
        stage.rows.come()
    assert isinstance(asked.result(), Scored)
    assert keys == [
        prefix(stage, "user_orders") + names.of("ann").encode(),
        prefix(stage, "item_orders") + b"nothing",
    ]
    [scored] = stage.predictions.offered
    assert scored.asked.entities == {"user": names.of("ann"), "item": "nothing"}
    assert scored.asked.context["channel"] == names.of("web")
    assert scored.asked.request_key == names.of("order-of-ann")


async def test_a_batch_asks_for_a_row_that_many_need_once(stage: Stage) -> None:
    async with asyncio.TaskGroup() as tasks:
        stage.ask(tasks, "a")
        await _turns()
        stage.ask(tasks, "b", "c", "b")
        await _turns()
        stage.rows.come()
        await _turns()
        keys = list(stage.rows.asked[1])
        stage.rows.come()
    users, items = prefix(stage, "user_orders"), prefix(stage, "item_orders")
    assert keys == [users + b"b", items + b"nothing", users + b"c"]


async def test_a_batch_is_bounded(stage: Stage) -> None:
    async with asyncio.TaskGroup() as tasks:
        stage.ask(tasks, "a")
        await _turns()
        stage.ask(tasks, *"bcdefg")
        await _turns()
        for expected in (1, BATCH, 2):
            assert len(stage.rows.asked[-1]) == expected + 1
            stage.rows.come()
            await _turns()


async def test_who_finds_the_line_full_is_turned_away_at_once(stage: Stage) -> None:
    async with asyncio.TaskGroup() as tasks:
        stage.ask(tasks, "a")
        await _turns()
        stage.ask(tasks, *"bcdefg")
        (late,) = stage.ask(tasks, "h")
        await _turns()
        assert isinstance(late.result(), Overloaded)
        for _ in range(3):
            stage.rows.come()
            await _turns()
    assert len(stage.predictions.offered) == ROOM + 1


async def test_rows_that_cannot_be_read_become_defaults(stage: Stage) -> None:
    async with asyncio.TaskGroup() as tasks:
        (asked,) = stage.ask(tasks, "a")
        await _turns()
        stage.rows.come(readable=False)
    scored = asked.result()
    assert isinstance(scored, Scored)
    assert scored.vectors.statuses[scored.row, :3].tolist() == [DEFAULTED] * 3


async def test_a_model_that_takes_no_defaults_fails_where_rows_cannot_be_read(stage: Stage) -> None:
    await stage.follow(model=STRICT_MODEL)
    async with asyncio.TaskGroup() as tasks:
        stage.ask(tasks, "a")
        await _turns()
        (unread,) = stage.ask(tasks, "b", model=STRICT_MODEL)
        (other,) = stage.ask(tasks, "c")
        await _turns()
        stage.rows.come()
        await _turns()
        stage.rows.come(readable=False)
    error = unread.result()
    assert isinstance(error, FeaturesUnavailable)
    assert str(error).startswith("FEATURES_UNAVAILABLE: user_orders.orders_1h, user_orders.mean_amount_24h, ")
    assert isinstance(other.result(), Scored)
    assert {scored.asked.model for scored in stage.predictions.offered} == {"returns"}


async def test_a_model_that_takes_no_defaults_scores_entities_that_have_no_rows(stage: Stage) -> None:
    await stage.follow(model=STRICT_MODEL)
    async with asyncio.TaskGroup() as tasks:
        (asked,) = stage.ask(tasks, "a", model=STRICT_MODEL)
        await _turns()
        stage.rows.come()
    assert isinstance(asked.result(), Scored)


async def test_a_row_that_is_junk_becomes_defaults(stage: Stage) -> None:
    async with asyncio.TaskGroup() as tasks:
        (asked,) = stage.ask(tasks, "a")
        await _turns()
        stage.rows.come(rows=[b"junk", None])
    scored = asked.result()
    assert isinstance(scored, Scored)
    assert scored.vectors.statuses[scored.row, 0] == DEFAULTED


async def test_a_request_whose_deadline_passed_in_the_line_is_not_scored(stage: Stage) -> None:
    async with asyncio.TaskGroup() as tasks:
        stage.ask(tasks, "a")
        await _turns()
        (hasty,) = stage.ask(tasks, "b", time_left_s=1.0)
        (patient,) = stage.ask(tasks, "c", time_left_s=10.0)
        await _turns()
        stage.now_s += 5.0
        stage.rows.come()
        await _turns()
        assert next(iter(stage.rows.asked[1])) == prefix(stage, "user_orders") + b"c"
        stage.rows.come()
    assert isinstance(hasty.result(), DeadlinePassed)
    assert isinstance(patient.result(), Scored)


async def test_a_request_whose_caller_left_is_neither_scored_nor_recorded(stage: Stage) -> None:
    async with asyncio.TaskGroup() as tasks:
        stage.ask(tasks, "a")
        await _turns()
        (gone,) = stage.ask(tasks, "b")
        await _turns()
        gone.cancel()
        await _turns()
        stage.rows.come()
        await _turns()
        assert len(stage.rows.asked) == 1
    assert [scored.asked.prediction_id for scored in stage.predictions.offered] == ["a"]


async def test_a_caller_that_leaves_while_rows_are_read_is_not_recorded(stage: Stage) -> None:
    async with asyncio.TaskGroup() as tasks:
        (gone,) = stage.ask(tasks, "a")
        await _turns()
        gone.cancel()
        await _turns()
        stage.rows.come()
        await _turns()
        stage.ask(tasks, "b")
        await _turns()
        stage.rows.come()
    assert [scored.asked.prediction_id for scored in stage.predictions.offered] == ["b"]


async def test_one_vector_without_a_score_spoils_no_other(stage: Stage, tmp_path: Path) -> None:
    await stage.follow(versions=[log_of_basket(tmp_path / "log", stage.stock)])
    negative = question().context
    negative["basket"].number = -1.0
    async with asyncio.TaskGroup() as tasks:
        stage.ask(tasks, "a")
        await _turns()
        (bad,) = stage.ask(tasks, "b", context=negative)
        (good,) = stage.ask(tasks, "c")
        await _turns()
        stage.rows.come()
        await _turns()
        stage.rows.come()
    assert isinstance(bad.result(), NoScore)
    scored = good.result()
    assert isinstance(scored, Scored)
    assert scored.score == pytest.approx(np.log(3.5))


async def test_an_error_nobody_foresaw_leaves_nobody_waiting(stage: Stage) -> None:
    async with asyncio.TaskGroup() as tasks:
        (asked,) = stage.ask(tasks, "a")
        await _turns()
        stage.rows.come(rows=[None])
        await _turns()
        (next_one,) = stage.ask(tasks, "b")
        await _turns()
        stage.rows.come()
    assert isinstance(asked.result(), NoScore)
    assert isinstance(next_one.result(), Scored)


async def test_a_batch_may_hold_several_models_and_arms(stage: Stage) -> None:
    two = [stage.stock.version(bias=-1.0), stage.stock.version(bias=1.0)]
    await stage.follow(versions=two)
    await stage.follow(model=DURABLE_MODEL)
    async with asyncio.TaskGroup() as tasks:
        stage.ask(tasks, "a")
        await _turns()
        asked = stage.ask(tasks, "b", "c")
        asked += stage.ask(tasks, "d", model=DURABLE_MODEL)
        await _turns()
        stage.rows.come()
        await _turns()
        assert len(stage.rows.asked) == 2
        stage.rows.come()
    answers = [task.result() for task in asked]
    assert [answer.asked.prediction_id for answer in answers] == ["b", "c", "d"]  # type: ignore[union-attr]
    assert [scored.asked.prediction_id for scored in stage.predictions.written] == ["d"]


async def test_a_durable_models_reply_fails_when_it_cannot_be_recorded(stage: Stage) -> None:
    await stage.follow(model=DURABLE_MODEL)
    stage.predictions.away = True
    async with asyncio.TaskGroup() as tasks:
        (asked,) = stage.ask(tasks, "a", model=DURABLE_MODEL)
        await _turns()
        stage.rows.come()
    assert isinstance(asked.result(), LogUnavailable)


async def test_requests_answered_together_each_keep_their_own_errors(stage: Stage) -> None:
    requests: list[Asked | ScoringError] = [
        _asked("a"),
        InvalidRequest("context[x]", "has no value"),
        _asked("b", model="no-such"),
        _asked("c"),
    ]
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(stage.plane.score_many(requests, None))
        await _turns()
        stage.rows.come()
    assert [type(answer) for answer in asked.result()] == [Scored, InvalidRequest, UnknownModel, Scored]


async def test_requests_that_find_no_room_together_are_refused_together(stage: Stage) -> None:
    with pytest.raises(Overloaded):
        await stage.plane.score_many([_asked(str(number)) for number in range(LIMIT + 1)], None)
    assert stage.rows.asked == []


async def test_what_was_served_is_counted(stage: Stage) -> None:
    async with asyncio.TaskGroup() as tasks:
        stage.ask(tasks, "a")
        await _turns()
        assert stage.registry.get_sample_value("inference_waiting_requests") == 0
        stage.ask(tasks, "b")
        await _turns()
        assert stage.registry.get_sample_value("inference_waiting_requests") == 1
        for _ in range(2):
            stage.rows.come()
            await _turns()
    stage.plane.close()
    labels = {"model": "returns", "variant": "champion", "status": "OK"}
    assert stage.registry.get_sample_value("inference_requests_total", labels) == 2
    missing = {"model": "returns", "status": "MISSING"}
    assert stage.registry.get_sample_value("inference_features_total", missing) == 6
    assert stage.registry.get_sample_value("inference_batch_size_count") == 2


async def test_the_share_that_is_logged_is_chosen_by_request_key(stage: Stage) -> None:
    await stage.follow(model=SAMPLED_MODEL)
    logged = [key for key in map(str, range(40)) if point(f"log:{SAMPLED_MODEL}", key) < 2_500]
    assert 0 < len(logged) < 40
    for key in map(str, range(40)):
        async with asyncio.TaskGroup() as tasks:
            [answer] = stage.ask(tasks, f"p{key}", model=SAMPLED_MODEL, request_key=key)
            await asyncio.sleep(0)
            stage.rows.come()
        assert isinstance(answer.result(), Scored)
    assert [scored.asked.request_key for scored in stage.predictions.offered] == logged
    assert {prediction_made(scored).log_share for scored in stage.predictions.offered} == {0.25}
    left_out = stage.registry.get_sample_value(
        "inference_unlogged_predictions_total", {"model": SAMPLED_MODEL}
    )
    assert left_out == 40 - len(logged)
