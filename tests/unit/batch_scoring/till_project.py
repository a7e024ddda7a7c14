"""A project as a user would write it: sales at tills, and what customers bought before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

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
    field,
    local_hour,
    request,
)

sales = Source(
    "till.sales.v1",
    format=Json({"sale": "text", "customer": "text", "shop": "text", "at": "time", "amount": "number"}),
    event_time="at",
    partitions=2,
    max_lateness=timedelta(days=2),
)
customer = Entity("customer")
shop = Entity("shop")


class CustomerSales(FeatureView):
    source = sales
    entity = customer
    ttl = timedelta(hours=3)
    mean_amount_2h = Mean("amount", window="2h")
    sales_1h = Count(window="1h")


class ShopSales(FeatureView):
    source = sales
    entity = shop
    ttl = timedelta(hours=6)
    last_amount_6h = Last("amount", window="6h")


asked_hour = RequestTime("asked_hour", local_hour(request("opened_at"), zone="UTC"))
returned = Label("returned", source=sales, request_key="sale", value=field("amount") > 5)


def train_nothing(features: Any, labels: Any, seed: int) -> Any:
    raise NotImplementedError


till = ModelSpec(
    "till-return",
    features=[CustomerSales.mean_amount_2h, CustomerSales.sales_1h, ShopSales.last_amount_6h, asked_hour],
    label=returned,
    examples=TrainingExamples(
        source=sales,
        time=field("at"),
        entities={"customer": "customer", "shop": "shop"},
        context={"opened_at": "at"},
    ),
    train=train_nothing,
)
