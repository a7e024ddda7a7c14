"""A project for the golden files: every kind of kept feature, key and window."""

from datetime import timedelta

from feature_store import (
    Count,
    Derived,
    DistinctCount,
    Entity,
    Ewma,
    FeatureView,
    First,
    Json,
    Label,
    Last,
    Max,
    Mean,
    Min,
    ModelSpec,
    Quantile,
    RequestTime,
    Share,
    Source,
    Std,
    Sum,
    TimeSince,
    TrainingExamples,
    category,
    coalesce,
    day_of_week,
    feature_value,
    field,
    local_hour,
    request,
    where,
)
from shop import marker, train_nothing

__all__ = ["marker"]

sales = Source(
    "market.sold.v1",
    format=Json(
        {
            "sale": "text",
            "stall": "text",
            "town": "text",
            "buyer": "text",
            "price": "number",
            "cash": "flag",
            "sold_at": "time",
            "kept": "flag",
        }
    ),
    event_time="sold_at",
    partitions=3,
)
stall = Entity("stall")
pitch = Entity("pitch", keys=("town", "stall"))


class StallSales(FeatureView):
    """What a stall has sold."""

    source = sales
    entity = stall
    ttl = timedelta(days=3)
    sales_1h = Count(window="1h")
    cash_1h = Count(where=field("cash"), window="1h")
    sum_24h = Sum("price", window="24h")
    mean_24h = Mean("price", window="24h", default=7.5)
    dear_share_24h = Share(where=field("price") > 5, among=~field("price").is_null(), window="24h")
    last_24h = Last("price", window="24h", default=-1.0)
    first_all = First("price", window="all")
    least_7d = Min("price", window="7d", tiles=14)
    most_7d = Max("price", window="7d", tiles=14)


class PitchSales(FeatureView):
    """What was sold at one place in a town."""

    source = sales
    entity = pitch
    ttl = timedelta(hours=12)
    sales_all = Count(window="all")
    net_3h = Sum(field("price") * where(field("cash"), 0.98, 1), window="3h", tiles=6)


class StallHabits(FeatureView):
    """What is kept of a stall beyond sums."""

    source = sales
    entity = stall
    ttl = timedelta(days=3)
    spread_24h = Std("price", window="24h")
    since_cash = TimeSince(unit="hours", where=field("cash"), window="7d", tiles=14)
    usual = Ewma("price", half_life="2h", window="24h")
    buyers_24h = DistinctCount("buyer", window="24h", precision=6)
    median_24h = Quantile("price", q=0.5, low=0.1, high=1000.0, accuracy=0.05, window="24h", tiles=2)


asked_hour = RequestTime("asked_hour", local_hour(request("asked_at"), zone="Europe/Rome"))
asked_day = RequestTime("asked_day", day_of_week(request("asked_at"), zone="America/New_York"))
weather = RequestTime("weather", category(request("weather"), ["sun", "rain", "Föhn"]))
offer = RequestTime("offer", coalesce(request("offer"), 1.5), default=1.5)
over_mean = Derived("over_mean", feature_value(offer) / feature_value(StallSales.mean_24h), default=1.0)

kept = Label("kept", source=sales, request_key="sale", value=field("kept"))


def _model(name: str, features: list[object], **inputs: str) -> ModelSpec:
    return ModelSpec(
        name,
        features=features,
        label=kept,
        examples=TrainingExamples(
            source=sales,
            time=field("sold_at"),
            entities={"stall": "stall", "town": "town"},
            context=inputs,
        ),
        train=train_nothing,
    )


every_tile = _model(
    "every-tile",
    [
        *(getattr(StallSales, name) for name in StallSales.view.aggregations),
        *(getattr(PitchSales, name) for name in PitchSales.view.aggregations),
        asked_hour,
        asked_day,
        weather,
        offer,
        over_mean,
    ],
    asked_at="sold_at",
    weather="buyer",
    offer="price",
)
every_sketch = _model("every-sketch", [getattr(StallHabits, name) for name in StallHabits.view.aggregations])
