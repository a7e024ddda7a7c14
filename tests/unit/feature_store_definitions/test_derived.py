"""Features of features and Python functions: what they may read, and what contracts say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from feature_store import (
    Contract,
    Count,
    DefinitionError,
    Derived,
    Entity,
    FeatureView,
    Json,
    Label,
    Mean,
    ModelSpec,
    Opaque,
    RequestTime,
    Source,
    TrainingExamples,
    embedding,
    feature_value,
    field,
    request,
)

if TYPE_CHECKING:
    from feature_store.definitions import AnyFeature

sales = Source(
    "sales.made.v1",
    format=Json({"sale": "text", "shop": "text", "town": "text", "price": "number", "at": "time"}),
    event_time="at",
)


class ShopSales(FeatureView):
    source, entity = sales, Entity("shop")
    mean_1h = Mean("price", window="1h")
    mean_24h = Mean("price", window="24h")
    sales_1h = Count(window="1h")


class TownSales(FeatureView):
    source, entity = sales, Entity("town")
    mean_24h = Mean("price", window="24h")


ratio = Derived("ratio", feature_value(ShopSales.mean_1h) / feature_value(ShopSales.mean_24h))


def double(x: Any) -> Any:
    return 2 * x


def spec_of(*features: AnyFeature, entities: tuple[str, ...] = ("shop", "town")) -> ModelSpec:
    return ModelSpec(
        "prices",
        features=features,
        label=Label("dear", source=sales, request_key="sale", value=field("price") > 5),
        examples=TrainingExamples(
            source=sales,
            time=field("at"),
            entities={name: name for name in entities},
            context={"price": "price", "town": "town"},
        ),
        train=lambda *_: None,
    )


def contract_of(*features: AnyFeature) -> Contract:
    return Contract.of(spec_of(*features))


def test_a_derived_feature_is_of_the_vector_and_what_it_reads_is_not() -> None:
    contract = contract_of(ratio, ShopSales.sales_1h)
    assert contract.feature_names == ("ratio", "shop_sales.sales_1h")
    assert [leaf.full_name for leaf in contract.leaves] == [
        "shop_sales.sales_1h",
        "shop_sales.mean_1h",
        "shop_sales.mean_24h",
    ]
    assert contract.views == (ShopSales.view,)
    assert contract.entities == ("shop",)


def test_what_is_read_two_steps_away_is_needed_too() -> None:
    more = Derived("more", feature_value(ratio) * request("price") + feature_value(TownSales.mean_24h))
    contract = contract_of(more)
    assert contract.derived == (ratio, more)
    assert contract.views == (ShopSales.view, TownSales.view)
    assert list(contract.inputs) == ["price"]


def test_a_feature_may_be_read_by_the_name_of_one_that_is_listed() -> None:
    named = Derived("ratio", feature_value("shop_sales.mean_1h") / feature_value("shop_sales.mean_24h"))
    listed = (ShopSales.mean_1h, ShopSales.mean_24h)
    assert contract_of(named, *listed).hash == contract_of(ratio, *listed).hash


def test_an_unknown_name_is_refused_where_it_was_written() -> None:
    wrong = Derived("wrong", feature_value("shop_sales.mean_2h") + 1)
    with pytest.raises(
        DefinitionError,
        match=r"test_derived\.py:\d+: Derived\('wrong'\): feature_value\("
        r"'shop_sales.mean_2h'\) is no feature of the model\. Did you mean",
    ):
        spec_of(wrong, ShopSales.mean_1h)


def test_a_circle_is_refused_with_its_way() -> None:
    one = Derived("one", feature_value("three") + 1)
    two = Derived("two", feature_value(one) + 1)
    three = Derived("three", feature_value(two) + 1)
    with pytest.raises(DefinitionError, match=r"test_derived\.py:\d+: .*one -> three -> two -> one"):
        spec_of(one, two, three)
    with pytest.raises(DefinitionError, match="itself: own -> own"):
        spec_of(Derived("own", feature_value("own") + 1))


def test_two_features_of_one_name_are_refused_even_where_one_is_only_read() -> None:
    hidden = RequestTime("price", request("price") + 1)
    reader = Derived("reader", feature_value(hidden) + 1)
    with pytest.raises(DefinitionError, match="another feature that the model needs has this name"):
        spec_of(RequestTime("price", request("price")), reader)


def test_a_hidden_operand_needs_its_entity() -> None:
    with pytest.raises(DefinitionError, match=r"'town_sales\.mean_24h' needs entity 'town'"):
        spec_of(Derived("town", feature_value(TownSales.mean_24h) + 1), entities=("shop",))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (field("price") + 1, "knows no field"),
        (request("prise") + 1, "Did you mean 'price'"),
        (request("town"), "its value is a text"),
        (feature_value(ShopSales.mean_1h) == "a", "number == text has no meaning"),
    ],
    ids=str,
)
def test_what_a_derived_feature_cannot_be_is_refused_with_its_line(expression: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=rf"test_derived\.py:\d+: Derived\('x'\): .*{message}"):
        spec_of(Derived("x", expression))


def test_events_and_requests_know_no_features() -> None:
    with pytest.raises(DefinitionError, match=r"computed from the request alone.*Write a Derived"):
        spec_of(RequestTime("x", feature_value(ShopSales.mean_1h) + 1))
    with pytest.raises(DefinitionError, match="computed from events"):

        class Wrong(FeatureView):
            source, entity = sales, Entity("shop")
            mean = Mean(feature_value("ratio"), window="1h")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Derived("x", 3),  # type: ignore[arg-type]
        lambda: Derived("x", request("price"), default=float("nan")),
        lambda: feature_value(3),  # type: ignore[arg-type]
        lambda: Opaque("x", double, {}),
        lambda: Opaque("x", double, {"x": 3}),  # type: ignore[dict-item]
        lambda: Opaque("x", len, {"x": request("price")}),
        lambda: embedding("x", request("town"), {"a": [1, 2]}, size=3),
        lambda: embedding("x", request("town"), {}, size=3),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused_with_its_line(make: Any) -> None:
    with pytest.raises(DefinitionError, match=r"test_derived\.py:\d+: "):
        make()


def test_whatever_changes_a_derived_value_changes_the_hash() -> None:
    read = feature_value(ShopSales.mean_1h)
    hashes = {
        contract_of(*features).hash
        for features in [
            (ratio,),
            (Derived("ratio", read / 2),),
            (Derived("ratio", read / 2, default=1.0),),
            (Derived("ratio", read / 3),),
            (Opaque("ratio", double, {"x": read}),),
            (Opaque("ratio", lambda x: 3 * x, {"x": read}),),
            (Opaque("ratio", double, {"x": read + 1}),),
            (ratio, ShopSales.mean_1h),
            (Derived("ratio", feature_value(RequestTime("p", request("price"))) / 2),),
            (Derived("ratio", feature_value(RequestTime("p", request("price"), default=1.0)) / 2),),
            (Derived("ratio", feature_value(RequestTime("p", request("price") + 1)) / 2),),
        ]
    }
    assert len(hashes) == 11


def test_an_embedding_is_as_many_features_as_its_vectors_are_long() -> None:
    made = embedding("town", request("town"), {"a": [1, 2], "b": [3, 4]}, size=2, otherwise=0)
    assert [feature.name for feature in made] == ["town_0", "town_1"]
    assert contract_of(*made).feature_names == ("town_0", "town_1")
