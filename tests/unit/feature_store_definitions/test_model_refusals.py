"""A label or a model that makes no sense is refused: where it stands, what is wrong, what to write."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from feature_store import (
    Entity,
    FeatureView,
    Json,
    Label,
    Mean,
    ModelSpec,
    RequestTime,
    Source,
    Sum,
    TrainingExamples,
    field,
    local_hour,
    request,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS = {"order": "text", "user": "text", "city": "text", "price": "number", "paid": "flag", "at": "time"}
ORDERS = Source("orders.v1", format=Json(FIELDS), event_time="at")
OTHER = Source("payments.v1", format=Json({"id": "text", "paid": "flag"}), event_time=None)
USER = Entity("user")


class UserOrders(FeatureView):
    source = ORDERS
    entity = USER
    spent_1h = Sum("price", window="1h")


class CityPrices(FeatureView):
    source = ORDERS
    entity = Entity("place")
    key = "city"
    mean_price_1d = Mean("price", window="1d")


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


REFUSALS: dict[str, tuple[Callable[[], object], str, str, str]] = {
    "label key": (
        lambda: Label("paid", source=ORDERS, request_key="price", value=field("paid")),
        "Label('paid')",
        "request_key: source orders.v1 has no text field 'price'",
        "Known: city, order, user.",
    ),
    "label value": (
        lambda: Label("paid", source=ORDERS, request_key="order", value=field("user")),
        "Label('paid')",
        "value is a text",
        "Write a condition or a number.",
    ),
    "label when": (
        lambda: Label("paid", source=ORDERS, request_key="order", value=field("paid"), when=field("price")),
        "Label('paid')",
        "when is a number",
        "Write a condition.",
    ),
    "examples time": (
        lambda: examples(time=field("price")),
        "TrainingExamples",
        "time is a number",
        "Write a time, such as field(...) - timedelta(hours=1).",
    ),
    "examples field": (
        lambda: examples(entities={"user": "usr"}),
        "TrainingExamples",
        "'user': source orders.v1 has no field 'usr'",
        "Did you mean 'user'?",
    ),
    "examples entity no text": (
        lambda: examples(entities={"user": "price"}),
        "TrainingExamples",
        "entity 'user': field 'price' is a number",
        "Entities are known by texts; name a text.",
    ),
    "examples request key": (
        lambda: examples(request_key="orders"),
        "TrainingExamples",
        "request_key: source orders.v1 has no text field 'orders'",
        "Did you mean 'order'?",
    ),
    "model name": (
        lambda: model(name="Will Pay"),
        "ModelSpec('Will Pay')",
        "its name is not lower-case words with dashes",
        'Write a name such as "flight-delay".',
    ),
    "model when unreadable": (
        lambda: model(when_unreadable="guess"),
        "ModelSpec('will-pay')",
        "when_unreadable is 'guess'",
        'Write "default" or "fail".',
    ),
    "model without features": (
        lambda: model(features=[]),
        "ModelSpec('will-pay')",
        "it has no features",
        "Write features=[...] with at least one.",
    ),
    "model feature twice": (
        lambda: model(features=[HOUR, HOUR]),
        "ModelSpec('will-pay')",
        "feature 'hour' is listed twice",
        "Remove one.",
    ),
    "model no feature": (
        lambda: model(features=["user_orders.spent_1h"]),
        "ModelSpec('will-pay')",
        "'user_orders.spent_1h' is no feature",
        "List MyView.my_aggregation, or a RequestTime.",
    ),
    "model entity missing": (
        lambda: model(features=[CityPrices.mean_price_1d]),
        "ModelSpec('will-pay')",
        "feature 'city_prices.mean_price_1d' needs entity 'place', which its examples lack",
        'Write TrainingExamples(entities={"place": "the field with its key"}).',
    ),
    "model threshold": (
        lambda: model(decision_threshold=1.5),
        "ModelSpec('will-pay')",
        "decision_threshold is 1.5",
        "Write a probability, 0 to 1.",
    ),
    "model log share of nothing": (
        lambda: model(log_share=0.0),
        "ModelSpec('will-pay')",
        "log_share is 0.0",
        "Write 0.0001 to 1, in steps of 0.0001.",
    ),
    "model log share of more than all": (
        lambda: model(log_share=1.1),
        "ModelSpec('will-pay')",
        "log_share is 1.1",
        "Write 0.0001 to 1, in steps of 0.0001.",
    ),
    "model log share too fine": (
        lambda: model(log_share=0.00015),
        "ModelSpec('will-pay')",
        "log_share is 0.00015",
        "Write 0.0001 to 1, in steps of 0.0001.",
    ),
    "model log share of a durable one": (
        lambda: model(log="durable", log_share=0.5),
        "ModelSpec('will-pay')",
        "log_share is 0.5, and it logs durably",
        'Leave log_share out, or write log="async".',
    ),
    "model slice": (
        lambda: model(slices=["city"]),
        "ModelSpec('will-pay')",
        "slice 'city' is no entity or input of its examples",
        "Known: asked_at, user.",
    ),
    "model request key": (
        lambda: model(
            label=Label("paid", source=OTHER, request_key="id", value=field("paid")),
        ),
        "ModelSpec('will-pay')",
        "its examples have no text field 'id' to meet the label's outcomes",
        'Write TrainingExamples(request_key="the field with the request\'s key").',
    ),
    "request feature undeclared": (
        lambda: model(features=[RequestTime("late", request("asked") > request("asked_at"))]),
        "RequestTime('late')",
        "request('asked') is not in TrainingExamples(context=...)",
        "Did you mean 'asked_at'?",
    ),
    "request feature reads event": (
        lambda: model(features=[RequestTime("price", field("price"))]),
        "RequestTime('price')",
        "it is computed from the request, which knows no field('price')",
        "Read the request with request(...), and name the input in TrainingExamples(context=...).",
    ),
    "request feature no number": (
        lambda: model(features=[RequestTime("when", request("asked_at"))]),
        "RequestTime('when')",
        "its value is a time",
        "Compare a text, take a calendar part of a time, or divide a duration by a timedelta.",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_definition_without_sense_is_refused_with_what_to_write(
    case: str, assert_refused: Callable[..., None]
) -> None:
    assert_refused(REFUSALS[case])
