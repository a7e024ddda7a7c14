"""What is refused at the door of features, and how it is said."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bus.memory import MemoryPublisher
from feature.adapters.asking import get_response, question_of, served_of
from feature.answering import Answers
from feature.contracts import Contracts
from feature.domain.errors import AskingError, InvalidRequest, NotDeclared
from feature.pushing import Door, Pushed
from feature_store import load_project
from feature_store.online import MemoryFeatureRows, MemoryRowReader
from tidemark.features.v1 import feature_service_pb2 as pb
from tidemark.scoring.v1.feature_vector_pb2 import FeatureStatus

if TYPE_CHECKING:
    from collections.abc import Callable

AT_US = 1_365_000_000_000_000
ENTITIES = {"origin": "JFK", "destination": "LAX", "carrier": "AA", "tail_number": "N1"}


DEFAULTED = FeatureStatus.FEATURE_STATUS_DEFAULTED


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return Contracts(load_project("examples.flights"))


def asked(**changes: Any) -> pb.GetRequest:
    request = pb.GetRequest(model="flight-delay", entities=ENTITIES)
    request.context["scheduled_at"].time.seconds = AT_US // 1_000_000
    request.context["distance_miles"].number = 2_475.0
    request.request_time.seconds = AT_US // 1_000_000
    for name, value in changes.items():
        getattr(request, name).CopyFrom(value) if name == "features" else setattr(request, name, value)
    return request


async def get(contracts: Contracts, request: pb.GetRequest, *, away: bool = False) -> pb.GetResponse:
    reader = MemoryRowReader(MemoryFeatureRows())
    reader.away = away
    question = question_of(request, field="", now_us=AT_US)
    return get_response(
        *await Answers(reader, lambda _: True).answer_one(served_of(contracts, request), question)
    )


async def test_a_model_is_answered_in_the_order_of_its_contract(contracts: Contracts) -> None:
    contract = load_project("examples.flights").contract("flight-delay")
    got = await get(contracts, asked())
    assert got.contract_hash == contract.hash
    assert [one.name for one in got.features] == list(contract.feature_names)
    assert [one.view for one in got.views] == [view.name for view in contract.views]
    assert not any(one.HasField("age_seconds") for one in got.views)
    by_name = {one.name: one for one in got.features}
    assert by_name["distance_miles"].value == np.float32(2_475.0)
    assert by_name["origin_weather.humidity_percent"].status == FeatureStatus.FEATURE_STATUS_MISSING


async def test_features_of_versions_that_are_not_up_to_date_are_defaulted(contracts: Contracts) -> None:
    reader = MemoryRowReader(MemoryFeatureRows())
    answers = Answers(reader, lambda view: view.name != "origin_weather")
    request = asked()
    question = question_of(request, field="", now_us=AT_US)
    got = get_response(*await answers.answer_one(served_of(contracts, request), question))
    defaulted = {one.name.partition(".")[0] for one in got.features if one.status == DEFAULTED}
    assert defaulted == {"origin_weather"}
    assert [one.view for one in got.views if not one.complete] == ["origin_weather"]
    views = load_project("examples.flights").views
    assert [one.version for one in got.views] == [views[one.view].digest.hex()[:8] for one in got.views]


async def test_a_store_that_is_away_is_no_error(contracts: Contracts) -> None:
    got = await get(contracts, asked(), away=True)
    kept = [one for one in got.features if "." in one.name]
    assert {one.status for one in kept} == {FeatureStatus.FEATURE_STATUS_DEFAULTED}


async def test_questions_asked_at_once_get_each_their_own_answer(contracts: Contracts) -> None:
    reader = MemoryRowReader(MemoryFeatureRows())
    answers = Answers(reader, lambda _: True)
    requests = [asked() for _ in range(40)]
    for number, request in enumerate(requests):
        request.context["distance_miles"].number = float(number)
        if number % 3 == 0:
            request.features.names.extend(["distance_miles", "origin_departures.mean_delay_1h"])
    got = await asyncio.gather(
        *(
            answers.answer_one(served_of(contracts, request), question_of(request, field="", now_us=AT_US))
            for request in requests
        )
    )
    for number, (answer, row) in enumerate(got):
        values = {one.name: one.value for one in get_response(answer, row).features}
        assert values["distance_miles"] == float(number)
        assert (len(values) == 2) is (number % 3 == 0)
    # The first alone, those of each contract together.
    assert len({id(answer) for answer, _ in got}) <= 4


def _without(name: str) -> Callable[[pb.GetRequest], None]:
    return lambda request: request.entities.pop(name)


def _names(*names: str) -> Callable[[pb.GetRequest], None]:
    return lambda request: request.features.CopyFrom(pb.FeatureNames(names=names))


def _set(path: str, value: Any) -> Callable[[pb.GetRequest], None]:
    def change(request: pb.GetRequest) -> None:
        *outer, last = path.split(".")
        where: Any = request
        for name in outer:
            where = where.context[name] if name in request.context else getattr(where, name)
        setattr(where, last, value)

    return change


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (_without("origin"), InvalidRequest, "entities[origin]: is missing"),
        (lambda request: request.context.pop("scheduled_at"), InvalidRequest, "context[scheduled_at]: is"),
        (_set("scheduled_at.text", "noon"), InvalidRequest, "context[scheduled_at]: must be a time"),
        (_set("distance_miles.number", float("nan")), InvalidRequest, "context[distance_miles]: must be"),
        (_set("request_time.nanos", -1), InvalidRequest, "request_time: has -1 nanos"),
        (_set("request_time.seconds", -9), InvalidRequest, "request_time: must be from 1970"),
        (_set("model", "flight-dely"), NotDeclared, "model: there is no 'flight-dely'. Did"),
        (_set("model", ""), InvalidRequest, "model: is empty"),
        (lambda request: request.ClearField("model"), InvalidRequest, "wanted: is not set"),
        (_names(), InvalidRequest, "features.names: has 0 entries"),
        (_names(*["scheduled_hour"] * 2), InvalidRequest, "features.names[1]: 'scheduled"),
        (_names("origin_weather.wind"), NotDeclared, "features.names[0]: there is no"),
        (lambda one: one.entities.update(origin="x" * 257), InvalidRequest, "entities[origin]: is longer"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named(
    contracts: Contracts, change: Callable[[pb.GetRequest], None], kind: type[AskingError], said: str
) -> None:
    request = asked()
    change(request)
    with pytest.raises(kind) as refused:
        await get(contracts, request)
    assert str(refused.value).startswith(said)


WEATHER = "weather.observed.v1"
FINE = b'{"origin": "JFK", "observed_at": "2013-04-03T14:40:00Z", "temperature_f": 50}'


def pushed(**changes: Any) -> Pushed:
    fields = {"id": "w1", "key": "", "data": FINE, "time_us": None, "recorded_time_us": AT_US}
    return Pushed(**{**fields, **changes})


async def test_what_is_pushed_carries_its_id_and_the_payloads_own_time() -> None:
    publisher = MemoryPublisher()
    door = Door(load_project("examples.flights"), publisher)
    positions = await door.push(WEATHER, [pushed()], now_us=AT_US + 5)
    assert [where.offset for where in positions] == [0]
    (record,) = [found.event for found in publisher.log.received(WEATHER)]
    assert (record.id, record.key, record.data) == ("w1", b"w1", FINE)
    assert (record.time_us, record.recorded_time_us) == (1_365_000_000_000_000, AT_US)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": b"{"}, "events[1].data: MALFORMED_PAYLOAD"),
        ({"data": FINE.replace(b"50", b"500")}, "events[1].data: OUT_OF_RANGE"),
        ({"data": FINE.replace(b"2013", b"2019")}, "events[1].data: FUTURE_EVENT"),
        ({"id": ""}, "events[1].id: must have 1 to 256 bytes"),
        ({"recorded_time_us": AT_US + 6}, "events[1].recorded_time: must be from 1970 to now"),
        ({"time_us": -1}, "events[1].event_time: must be from 1970"),
    ],
)
async def test_one_event_that_is_refused_holds_back_all(changes: dict[str, Any], said: str) -> None:
    publisher = MemoryPublisher()
    door = Door(load_project("examples.flights"), publisher)
    with pytest.raises(InvalidRequest) as refused:
        await door.push(WEATHER, [pushed(), pushed(**changes)], now_us=AT_US + 5)
    assert str(refused.value).startswith(said)
    assert not publisher.log.received(WEATHER)


async def test_a_source_that_is_none_is_led_to_the_right_one() -> None:
    door = Door(load_project("examples.flights"), MemoryPublisher())
    with pytest.raises(NotDeclared, match=r"Did you mean 'weather.observed.v1'\?"):
        await door.push("weather.observed", [pushed()], now_us=AT_US)
    with pytest.raises(InvalidRequest, match="events: has 0 entries"):
        await door.push(WEATHER, [], now_us=AT_US)
