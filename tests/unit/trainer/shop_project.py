"""A project as a user would write it, and a world for it: visits to a shop that end in a purchase or not."""

import json
from typing import Any

import numpy as np
from feature_store import (
    Count,
    Entity,
    FeatureView,
    Incoming,
    Json,
    Label,
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

HOUR_US = 3_600_000_000
START_US = 1_356_998_400_000_000

purchases = Source(
    "shop.purchases.v1",
    format=Json({"customer": "text", "at": "time", "amount": "number"}),
    event_time="at",
    partitions=2,
)
visits = Source(
    "shop.visits.v1",
    format=Json(
        {
            "visit": "text",
            "customer": "text",
            "began_at": "time",
            "ended_at": "time",
            "bought": "flag",
            "spent": "number",
            "left": "text",
        }
    ),
    event_time="ended_at",
    partitions=2,
)
customer = Entity("customer")


class CustomerPurchases(FeatureView):
    source = purchases
    entity = customer
    mean_amount_1d = Mean("amount", window="1d")
    purchases_1d = Count(window="1d")


began_hour = RequestTime("began_hour", local_hour(request("began_at"), zone="UTC"))
bought = Label("bought", source=visits, request_key="visit", value=field("bought"))
spent = Label("spent", source=visits, request_key="visit", value=field("spent"))
WAYS = ("early", "in time", "late")
left = Label("left", source=visits, request_key="visit", value=category(field("left"), WAYS))


def train_trees(features: NDArray[np.float32], labels: NDArray[np.float64], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - only a trainer needs it

    return HistGradientBoostingClassifier(max_iter=15, random_state=seed).fit(features, labels)


def train_logistic(features: NDArray[np.float32], labels: NDArray[np.float64], seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - as above
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    return make_pipeline(StandardScaler(), LogisticRegression(random_state=seed)).fit(features, labels)


def train_values(features: NDArray[np.float32], labels: NDArray[np.float64], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - as above

    return HistGradientBoostingRegressor(max_iter=15, random_state=seed).fit(features, labels)


def train_line(features: NDArray[np.float32], labels: NDArray[np.float64], _seed: int) -> Any:
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415 - as above

    return LinearRegression().fit(features, labels)


features = [CustomerPurchases.mean_amount_1d, CustomerPurchases.purchases_1d, began_hour]
examples = TrainingExamples(
    source=visits,
    time=field("began_at"),
    entities={"customer": "customer"},
    context={"began_at": "began_at"},
)
shop = ModelSpec(
    "shop-purchase",
    features=features,
    label=bought,
    examples=examples,
    train=train_trees,
    challengers={"logistic": train_logistic},
    seed=7,
)


spending = ModelSpec(
    "shop-spending",
    task="regression",
    features=features,
    label=spent,
    examples=examples,
    train=train_values,
    challengers={"line": train_line},
)
leaving = ModelSpec(
    "shop-leaving",
    task="multiclass",
    classes=WAYS,
    features=features,
    label=left,
    examples=examples,
    train=train_trees,
    challengers={"logistic": train_logistic},
)
ranking = ModelSpec(
    "shop-ranking", task="ranking", features=features, label=spent, examples=examples, train=train_values
)


def world(visits_count: int, seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Facts by topic: purchases every hour, and visits that end an hour later, likelier in one after a "
    "dear one."""
    generator = np.random.default_rng(seed)
    facts: dict[str, list[dict[str, Any]]] = {purchases.topic: [], visits.topic: []}
    for number in range(visits_count):
        at_us = START_US + number * HOUR_US // 4
        who, amount = f"c{generator.integers(5)}", float(generator.gamma(2.0, 10.0))
        likely = 1 / (1 + np.exp((20 - amount) / 5))
        facts[purchases.topic].append({"customer": who, "at": at_us, "amount": amount})
        facts[visits.topic].append(
            {
                "visit": f"v{number}",
                "customer": who,
                "began_at": at_us + HOUR_US // 8,
                "ended_at": at_us + HOUR_US,
                "bought": bool(generator.random() < likely),
                "spent": 300.0 + 20.0 * amount,
                "left": WAYS[at_us // HOUR_US % 24 // 8],
            }
        )
    return facts


def incoming(source: Source, facts: list[dict[str, Any]], recorded_lag_us: int = 0) -> Incoming:
    """Facts as records of a source, recorded so much later than they were true."""
    time = source.event_time or ""
    return Incoming(
        values=[
            json.dumps({k: iso(v) if k.endswith("at") else v for k, v in fact.items()}).encode()
            for fact in facts
        ],
        ids=[f"{source.topic}-{number}" for number in range(len(facts))],
        keys=[fact["customer"].encode() for fact in facts],
        event_time_us=[fact[time] for fact in facts],
        recorded_time_us=[fact[time] + recorded_lag_us for fact in facts],
        partitions=[number % 2 for number in range(len(facts))],
        offsets=[number // 2 for number in range(len(facts))],
    )


def iso(time_us: int) -> str:
    return str(np.datetime64(time_us, "us")) + "Z"
