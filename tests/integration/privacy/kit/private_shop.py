"""A project with a secret in every place: a hashed card, a dropped address, customers."""

from datetime import timedelta

from feature_store import (
    Check,
    Count,
    Entity,
    FeatureView,
    Json,
    Label,
    ModelSpec,
    Source,
    Sum,
    TrainingExamples,
    field,
)
from feature_store.retention import Retention

customer = Entity("customer", sensitivity="personal")
card = Entity("card", sensitivity="personal")

orders = Source(
    "orders.v1",
    format=Json(
        {
            "order": "text",
            "customer": "text",
            "card": "text",
            "email": "text",
            "amount": "number",
            "at": "time",
        }
    ),
    event_time="at",
    partitions=2,
    checks=[Check.required("customer"), Check.range("amount", low=0), Check.matches("email", ".*@.*")],
    sensitive={"card": "hash", "email": "drop"},
)


class CustomerOrders(FeatureView):
    """What a customer ordered."""

    source = orders
    entity = customer
    orders_7d = Count(window="7d")
    amount_7d = Sum(field("amount"), window="7d")


class CardOrders(FeatureView):
    """What was paid with a card."""

    source = orders
    entity = card
    orders_7d = Count(window="7d")


def train(features: object, labels: object, seed: int) -> object:
    """Nothing is trained here."""
    raise NotImplementedError(features, labels, seed)


large = Label("large", source=orders, request_key="order", value=field("amount") >= 50)
model = ModelSpec(
    name="large-order",
    features=[CustomerOrders.orders_7d],
    label=large,
    examples=TrainingExamples(
        orders,
        time=field("at") - timedelta(minutes=1),
        entities={"customer": "customer"},
        request_key="order",
    ),
    train=train,  # type: ignore[arg-type] # never called
)

orders_kept = Retention("orders.v1", in_topic=timedelta(days=60), in_lake=timedelta(days=30))
