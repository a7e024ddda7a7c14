"""Entities with several parts: what a view and a request give for each, and how they become one key."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from feature_store import (
    Contract,
    Count,
    Entity,
    FeatureView,
    Json,
    Label,
    ModelSpec,
    Source,
    TrainingExamples,
    entity_key,
    feature_value,
    field,
    request,
    where,
)
from feature_store.keys import joined

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FIELDS = {"id": "text", "origin": "text", "destination": "text", "miles": "number", "at": "time"}
FLIGHTS = Source("flights.v1", format=Json(FIELDS), event_time="at")
ROUTE = Entity("route", keys=("origin", "destination"))
PLACES = {"origin": "origin", "destination": "destination"}


def view(**declared: Any) -> type[FeatureView]:
    body = {"source": FLIGHTS, "entity": ROUTE, "flights_1h": Count(window="1h"), **declared}
    return type("Routes", (FeatureView,), body)


def model(entities: dict[str, str]) -> ModelSpec:
    return ModelSpec(
        "m",
        features=[view().flights_1h],  # type: ignore[attr-defined]
        label=Label("far", source=FLIGHTS, request_key="id", value=field("miles") > 1000),
        examples=TrainingExamples(source=FLIGHTS, time=field("at"), entities=entities),
        train=lambda *_: None,
    )


def column(*texts: str | None) -> NDArray[Any]:
    return np.array(texts, np.object_)


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        (["JFK", "LAX"], "JFK|LAX"),
        (["a|b", "c"], r"a\|b|c"),
        (["a", "b|c"], r"a|b\|c"),
        (["a\\", "b"], r"a\\|b"),
        (["a", "|b"], r"a|\|b"),
        (["zürich", "x", "y"], "zürich|x|y"),
        ([r"a\|b"], r"a\|b"),
    ],
)
def test_parts_become_the_key_that_the_formats_page_says(parts: list[str], key: str) -> None:
    assert joined([column(part) for part in parts]).tolist() == [key]


def test_no_two_lists_of_parts_make_the_same_key() -> None:
    texts = ["".join(text) for length in (1, 2, 3) for text in product("a|\\", repeat=length)]
    pairs = list(product(texts, texts))
    made = joined([column(*parts) for parts in zip(*pairs, strict=True)]).tolist()
    assert len(set(made)) == len(pairs) == 39 * 39


def test_a_key_that_lacks_a_part_is_none() -> None:
    made = joined([column("a", None, "", "a"), column("b", "b", "b", "")])
    assert made.tolist() == ["a|b", None, None, None]
    assert joined([column(), column()]).tolist() == []


def test_a_key_of_one_part_keeps_its_hashes() -> None:
    plain = view(entity=Entity("origin")).view
    assert (plain.canonical()["entity"], plain.canonical()["key"]) == ("origin", "origin")
    renamed = view(entity=Entity("airport", keys=("origin",))).view
    assert renamed.canonical()["entity"] == {"name": "airport", "keys": [["entity_key", "origin"]]}
    assert renamed.canonical()["key"] == "origin"
    assert renamed.digest != plain.digest


def test_the_parts_are_fields_called_like_them_or_those_that_the_view_names() -> None:
    assert view().view.canonical()["key"] == ["origin", "destination"]
    assert view(key=("destination", "origin")).view.canonical()["key"] == ["destination", "origin"]
    assert view(key=("destination", "origin")).view.digest != view().view.digest
    computed = view(key=("origin", where(field("miles") > 1000, "far", "near"))).view
    assert computed.canonical()["key"][0] == "origin"
    assert list(computed.canonical()["key"][1]) == ["expression"]


def test_a_model_asks_for_each_part_once() -> None:
    class Origins(FeatureView):
        source, entity = FLIGHTS, Entity("origin")
        flights_1h = Count(window="1h")

    contract = Contract.over("", [view().flights_1h, Origins.flights_1h], {})  # type: ignore[attr-defined]
    assert contract.entities == ("origin", "destination")
    assert Contract.of(model(PLACES)).entities == ("origin", "destination")


REFUSALS: dict[str, tuple[Callable[[], object], str, str, str]] = {
    "one text": (
        lambda: Entity("route", keys="origin"),
        "Entity('route')",
        "keys is the text 'origin'",
        "Write keys=('origin',).",
    ),
    "duplicate part": (
        lambda: Entity("route", keys=("origin", "origin")),
        "Entity('route')",
        "keys: a part is listed twice",
        "List each part of the key once.",
    ),
    "no name": (
        lambda: Entity("route", keys=("origin", "")),
        "Entity('route')",
        "keys: '' is no name",
        'Write keys=("origin", "destination").',
    ),
    "part no text": (
        lambda: Entity("route", keys=("origin", entity_key("x") == "y")),
        "Entity('route')",
        "keys: entity_key('x') == 'y' is a flag",
        "Entities are known by texts.",
    ),
    "part of an input": (
        lambda: Entity("route", keys=(request("x"),)),
        "Entity('route'): keys",
        "request('x') is not made of the request's entity keys alone",
        "Read entity_key(...).",
    ),
    "unknown field": (
        lambda: view(key=("origin", "destinatio")),
        "Routes",
        "key: source flights.v1 has no field 'destinatio'",
        "Did you mean 'destination'?",
    ),
    "not a text": (
        lambda: view(key=("origin", "miles")),
        "Routes",
        "key: field 'miles' is a number",
        "Entities are known by texts; name a text.",
    ),
    "duplicate field": (
        lambda: view(key=("origin", "origin")),
        "Routes",
        "key: a part is listed twice",
        "Write another field of the source for each part.",
    ),
    "too few": (
        lambda: view(key="origin"),
        "Routes",
        "key has 1 parts, and the key of entity 'route' has 2",
        "Write a field of the source for each part.",
    ),
    "too many": (
        lambda: view(entity=Entity("origin"), key=("origin", "destination")),
        "Routes",
        "key has 2 parts, and the key of entity 'origin' has 1",
        "Write a field of the source for each part.",
    ),
    "computed for requests only": (
        lambda: view(entity=Entity("far", keys=(where(entity_key("x") == "LAX", "far", "near"),))),
        "Routes",
        "it has no key, and that of entity 'far' is computed from requests",
        "Write key = what it is in the source's events.",
    ),
    "key of a request": (
        lambda: view(key=("origin", entity_key("destination"))),
        "Routes: key",
        "it is computed from events, which know no entity_key('destination')",
        "Read the event with field(...).",
    ),
    "key of a feature": (
        lambda: view(key=("origin", feature_value("x"))),
        "Routes: key",
        "it is computed from events, and reads feature_value('x')",
        "Write a Derived feature.",
    ),
    "part that examples lack": (
        lambda: model({"origin": "origin"}),
        "ModelSpec('m')",
        "feature 'routes.flights_1h' needs entity 'destination', which its examples lack",
        'Write TrainingExamples(entities={"destination": "the field with its key"}).',
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_key_without_sense_is_refused_with_what_to_write(
    case: str, assert_refused: Callable[..., None]
) -> None:
    assert_refused(REFUSALS[case])
