"""What a project declares is what the platform sees: names, windows, inheritance, outcomes, examples."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from feature_store import (
    Count,
    Entity,
    FeatureView,
    Incoming,
    Json,
    Label,
    Last,
    Mean,
    ModelSpec,
    RequestTime,
    Share,
    Source,
    Sum,
    TrainingExamples,
    decode_events,
    field,
    local_hour,
    request,
)
from feature_store.definitions.views import snake_case

FIELDS = {"order": "text", "user": "text", "city": "text", "price": "number", "paid": "flag", "at": "time"}
ORDERS = Source("orders.v1", format=Json(FIELDS), event_time="at")
USER = Entity("user")


class UserOrders(FeatureView):
    source = ORDERS
    entity = USER
    ttl = timedelta(days=2)
    spent_1h = Sum("price", window="1h")
    paid_share_3h = Share(where=field("paid"), window="3h", tiles=6, default=0.5)
    orders_24h = Count(where=field("price") > 0, window="24h")


class _Prices(FeatureView, abstract=True):
    source = ORDERS
    mean_price_1d = Mean("price", window="1d")
    last_price_1d = Last("price", window="1d")


class UserPrices(_Prices):
    entity = USER


class CityPrices(_Prices):
    entity = Entity("place")
    key = "city"
    mean_price_1d = Mean("price", window="1d", default=9.0)


PAID = Label("paid", source=ORDERS, request_key="order", value=field("paid"))
HOUR = RequestTime("hour", local_hour(request("asked_at"), zone="UTC"))


def train(features: Any, labels: Any, seed: int) -> Any:
    raise NotImplementedError


def examples(**changed: Any) -> TrainingExamples:
    arguments: dict[str, Any] = {
        "source": ORDERS,
        "time": field("at") - timedelta(hours=1),
        "entities": {"user": "user"},
        "context": {"asked_at": "at"},
    }
    return TrainingExamples(**{**arguments, **changed})


def model(**changed: Any) -> ModelSpec:
    arguments: dict[str, Any] = {
        "name": "will-pay",
        "features": [UserOrders.spent_1h, HOUR],
        "label": PAID,
        "examples": examples(),
        "train": train,
    }
    return ModelSpec(**{**arguments, **changed})


def view(**declared: Any) -> type[FeatureView]:
    body = {"source": ORDERS, "entity": USER, "orders_1h": Count(window="1h"), **declared}
    return type(
        "UserThings", (FeatureView,), {name: value for name, value in body.items() if value is not None}
    )


def test_a_feature_is_known_by_its_view_and_its_own_name() -> None:
    assert UserOrders.spent_1h.full_name == "user_orders.spent_1h"
    assert UserOrders.view.name == "user_orders"
    assert UserOrders.spent_1h.view is UserOrders.view
    assert HOUR.full_name == "hour"


def test_a_view_keeps_its_aggregations_in_the_order_of_declaration() -> None:
    assert list(UserOrders.view.aggregations) == ["spent_1h", "paid_share_3h", "orders_24h"]
    spent, share, orders = UserOrders.view.aggregations.values()
    assert (spent.window_us, spent.tiles, spent.tile_us, spent.default) == (
        3_600_000_000,
        12,
        300_000_000,
        0.0,
    )
    assert (share.tiles, share.tile_us, share.default) == (6, 1_800_000_000, 0.5)
    assert (str(spent.value), spent.counted) == ("field('price')", None)
    assert (str(share.value), share.counted) == ("field('paid')", None)
    assert (orders.value, str(orders.counted)) == (None, "field('price') > 0.0")


def test_a_share_may_be_among_some_events_only() -> None:
    share = Share(where=field("price") > 10, among=field("paid"), window="1h")
    assert (str(share.value), str(share.counted)) == ("field('price') > 10.0", "field('paid')")


def test_an_aggregation_may_be_of_an_expression() -> None:
    kept = view(cents=Mean(field("price") * 100, window="1h")).view.aggregations["cents"]
    assert str(kept.value) == "field('price') * 100.0"


def test_views_inherit_aggregations_and_may_replace_them() -> None:
    assert list(CityPrices.view.aggregations) == ["mean_price_1d", "last_price_1d"]
    assert UserPrices.mean_price_1d.full_name == "user_prices.mean_price_1d"
    assert UserPrices.mean_price_1d.default == 0.0
    assert CityPrices.mean_price_1d.default == 9.0
    assert CityPrices.last_price_1d.view is CityPrices.view


def test_a_views_key_and_ttl_have_sensible_defaults() -> None:
    assert [view.view.canonical()["key"] for view in (UserPrices, CityPrices)] == ["user", "city"]
    assert UserOrders.view.ttl_us == 2 * 86_400_000_000
    assert UserPrices.view.ttl_us == 86_400_000_000


@pytest.mark.parametrize(
    ("name", "expected"),
    [("OriginDepartures", "origin_departures"), ("HTTPErrors", "http_errors"), ("Top10Users", "top10_users")],
)
def test_a_views_name_is_its_class_in_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


def test_a_views_digest_changes_with_what_its_rows_hold_and_with_nothing_else() -> None:
    plain = view().view.digest
    assert view().view.digest == plain
    assert view(more=Count(window="2h")).view.digest != plain
    assert view(orders_1h=Count(window="1h", tiles=6)).view.digest != plain
    assert view(orders_1h=Count(window="1h", where=field("paid"))).view.digest != plain
    assert view(orders_2h=Count(window="1h"), orders_1h=None).view.digest != plain


def test_the_champions_algorithm_is_named_after_its_function() -> None:
    def train_gradient_boosting(features: Any, labels: Any, seed: int) -> Any:
        raise NotImplementedError

    spec = model(train=train_gradient_boosting, challengers={"plain": train})
    assert spec.algorithm == "gradient-boosting"
    assert spec.algorithms == {"gradient-boosting": train_gradient_boosting, "plain": train}


def orders(*payloads: bytes) -> Any:
    n = len(payloads)
    batch, rejects = decode_events(
        ORDERS,
        Incoming(payloads, ["id"] * n, [b""] * n, [0] * n, [7_200_000_000] * n, [0] * n, list(range(n))),
    )
    assert rejects == []
    return batch


TIMES = b'"at": "1970-01-01T02:00:00Z"'


def test_a_label_tells_outcomes_where_it_has_a_value_a_key_and_its_condition() -> None:
    label = Label(
        "paid",
        source=ORDERS,
        request_key="order",
        value=field("paid").cast("number"),
        when=field("price") > 0,
    )
    outcomes = label.outcomes(
        orders(
            b'{"order": "a", "paid": true, "price": 1, ' + TIMES + b"}",
            b'{"order": "b", "price": 1, ' + TIMES + b"}",
            b'{"paid": true, "price": 1, ' + TIMES + b"}",
            b'{"order": "c", "paid": true, ' + TIMES + b"}",
            b'{"order": "d", "paid": false, "price": 1, ' + TIMES + b"}",
        )
    )
    assert outcomes.rows.tolist() == [0, 4]
    assert outcomes.request_keys.tolist() == ["a", "d"]
    assert outcomes.values.tolist() == [1.0, 0.0]
    assert len(outcomes) == 2


def test_examples_ask_about_each_event_at_their_own_time() -> None:
    made = examples(context={"asked_at": "at", "city": "city"}).of(
        orders(
            b'{"order": "a", "user": "ann", "city": "Rome", ' + TIMES + b"}",
            b'{"order": "b", ' + TIMES + b"}",
        ),
        "order",
    )
    assert made.requests.time_us.tolist() == [3_600_000_000] * 2
    assert made.requests.entities["user"].tolist() == ["ann", None]
    assert made.requests.context["asked_at"].tolist() == [7_200_000_000] * 2
    assert made.requests.context["city"].tolist() == ["Rome", None]
    assert made.request_keys.tolist() == ["a", "b"]
    taken = made.requests.take(np.array([False, True]))
    assert (len(taken), taken.context["city"].tolist()) == (1, [None])


def test_an_event_without_the_examples_time_is_no_example() -> None:
    source = Source("plain.v1", format=Json({"order": "text", "due": "time"}), event_time=None)
    n_payloads = (b'{"order": "a"}', b'{"order": "b", "due": "1970-01-01T00:00:00Z"}')
    batch, _ = decode_events(
        source, Incoming(n_payloads, ["", ""], [b"", b""], [0, 0], [0, 0], [0, 0], [0, 1])
    )
    made = TrainingExamples(source, time=field("due"), entities={}).of(batch, "order")
    assert (made.rows.tolist(), made.request_keys.tolist()) == ([1], ["b"])
