"""A project of routes and aircraft: keys of two parts, a dimension, and an entity known by an attribute."""

from pathlib import Path
from typing import Any

import numpy as np
from feature_store import (
    Count,
    Dimension,
    Entity,
    FeatureView,
    Json,
    Label,
    Mean,
    ModelSpec,
    RequestTime,
    Source,
    TrainingExamples,
    csv_rows,
    entity_key,
    field,
)
from numpy.typing import NDArray

legs = Source(
    "legs.flown.v1",
    format=Json(
        {
            "leg": "text",
            "origin": "text",
            "destination": "text",
            "tail_number": "text",
            "delay": "number",
            "at": "time",
        }
    ),
    event_time="at",
    partitions=2,
)
planes = Dimension(
    "planes",
    key="tail_number",
    attributes={"model": "text", "seats": "number"},
    rows=csv_rows(Path(__file__).with_name("planes.csv")),
    valid_from="since",
    description="What is known of each aircraft.",
)
origin = Entity("origin")
route = Entity("route", keys=("origin", "destination"))
aircraft_model = Entity("aircraft_model", keys=(planes["model"].of(entity_key("tail_number")),))


class OriginLegs(FeatureView):
    source, entity = legs, origin
    legs_1d = Count(window="1d")


class RouteLegs(FeatureView):
    source, entity = legs, route
    mean_delay_7d = Mean("delay", window="7d", tiles=7)
    seats_7d = Mean(planes["seats"].of(field("tail_number")), window="7d", tiles=7)


class ModelLegs(FeatureView):
    source, entity, key = legs, aircraft_model, planes["model"].of(field("tail_number"))
    legs_7d = Count(window="7d", tiles=7)


seats = RequestTime("seats", planes["seats"].of(entity_key("tail_number")), default=-1.0)
late = Label("late", source=legs, request_key="leg", value=field("delay") > 15)


def train_logistic(features: NDArray[np.float32], labels: NDArray[np.float64], seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - only a trainer needs it

    return LogisticRegression(random_state=seed).fit(features / 100, labels)


lateness = ModelSpec(
    "leg-lateness",
    features=[
        OriginLegs.legs_1d,
        RouteLegs.mean_delay_7d,
        RouteLegs.seats_7d,
        ModelLegs.legs_7d,
        seats,
    ],
    label=late,
    examples=TrainingExamples(
        source=legs,
        time=field("at"),
        entities={"origin": "origin", "destination": "destination", "tail_number": "tail_number"},
    ),
    train=train_logistic,
    slices=["destination"],
)
