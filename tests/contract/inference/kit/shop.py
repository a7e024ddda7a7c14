"""A project of two models for tests of whatever serves projects: small, and with every kind of input."""

from datetime import timedelta

import numpy as np
from feature_store import (
    Count,
    Entity,
    FeatureView,
    Json,
    Label,
    Last,
    Mean,
    ModelSpec,
    RequestTime,
    Source,
    TrainingExamples,
    category,
    field,
    local_hour,
    request,
)
from numpy.typing import NDArray

orders = Source(
    "shop.ordered.v1",
    format=Json(
        {
            "order_id": "text",
            "user": "text",
            "item": "text",
            "amount": "number",
            "gift": "flag",
            "placed_at": "time",
            "returned": "flag",
        }
    ),
    event_time="placed_at",
    partitions=2,
)
user = Entity("user")
item = Entity("item")


class UserOrders(FeatureView):
    """What the user has ordered."""

    source = orders
    entity = user
    ttl = timedelta(days=2)
    orders_1h = Count(window="1h")
    mean_amount_24h = Mean("amount", window="24h", default=5.0)


class ItemOrders(FeatureView):
    """How the item has sold."""

    source = orders
    entity = item
    ttl = timedelta(hours=6)
    last_amount_24h = Last("amount", window="24h", default=9.0)


asked_hour = RequestTime("asked_hour", local_hour(request("asked_at"), zone="UTC"))
is_gift = RequestTime("is_gift", request("gift"))
basket = RequestTime("basket", request("basket"))
is_web = RequestTime("is_web", request("channel") == "web")

will_return = Label("will_return", source=orders, request_key="order_id", value=field("returned"))


def train_nothing(_features: NDArray[np.float32], _labels: NDArray[np.float64], _seed: int) -> None:
    """Packages of these models are written by hand."""


def _model(name: str, **options: object) -> ModelSpec:
    return ModelSpec(
        name,
        features=[
            UserOrders.orders_1h,
            UserOrders.mean_amount_24h,
            ItemOrders.last_amount_24h,
            asked_hour,
            is_gift,
            basket,
            is_web,
        ],
        label=will_return,
        examples=TrainingExamples(
            source=orders,
            time=field("placed_at"),
            entities={"user": "user", "item": "item"},
            context={"asked_at": "placed_at", "gift": "gift", "basket": "amount", "channel": "order_id"},
        ),
        train=train_nothing,
        **options,
    )


returns = _model("returns")
durable_returns = _model("durable-returns", log="durable")
strict_returns = _model("strict-returns", when_unreadable="fail")
sampled_returns = _model("sampled-returns", log_share=0.25)

# A model without needs: tests route it to learn that everything routed before was read.
marker = ModelSpec(
    "marker",
    features=[RequestTime("unasked", request("unasked").is_null())],
    label=will_return,
    examples=TrainingExamples(
        source=orders, time=field("placed_at"), entities={}, context={"unasked": "amount"}
    ),
    train=train_nothing,
)

# Its vector holds a text, by its number among the channels.
channel = RequestTime("channel", category(request("channel"), ["web", "shop", "phone"]))
by_channel = ModelSpec(
    "by-channel",
    features=[UserOrders.orders_1h, channel, basket],
    label=will_return,
    examples=TrainingExamples(
        source=orders,
        time=field("placed_at"),
        entities={"user": "user"},
        context={"basket": "amount", "channel": "order_id"},
    ),
    train=train_nothing,
)
