"""The shop where customers and order numbers are sensitive: what a request says of them is, too."""

from datetime import timedelta

from feature_store import (
    Count,
    FeatureView,
    Json,
    Label,
    ModelSpec,
    RequestTime,
    Source,
    TrainingExamples,
    field,
    request,
)
from shop import train_nothing, user

orders = Source(
    "shop.ordered.v1",
    format=Json(
        {"order_id": "text", "user": "text", "amount": "number", "placed_at": "time", "returned": "flag"}
    ),
    event_time="placed_at",
    partitions=2,
    sensitive={"user": "hash", "order_id": "hash"},
)


class UserOrders(FeatureView):
    """What the user has ordered."""

    source = orders
    entity = user
    ttl = timedelta(days=2)
    orders_1h = Count(window="1h")


basket = RequestTime("basket", request("basket"))
# Hashed before a model reads it, as it was in training.
is_first = RequestTime("is_first", request("order") == "o-1")

will_return = Label("will_return", source=orders, request_key="order_id", value=field("returned"))

returns = ModelSpec(
    "returns",
    features=[UserOrders.orders_1h, basket, is_first],
    label=will_return,
    examples=TrainingExamples(
        source=orders,
        time=field("placed_at"),
        entities={"user": "user"},
        context={"basket": "amount", "order": "order_id"},
    ),
    train=train_nothing,
)
