"""A small project: rides, of which a driver's and a rider's are kept."""

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
    Source,
    TrainingExamples,
    field,
)
from monitoring.served import Consistency

rides = Source(
    "rides.ended.v1",
    format=Json({"ride": "text", "driver": "text", "rider": "text", "fare": "number", "at": "time"}),
    event_time="at",
    partitions=2,
    max_lateness=timedelta(days=1),
)
driver, rider = Entity("driver"), Entity("rider")


class DriverRides(FeatureView):
    source, entity = rides, driver
    rides_1h = Count(window="1h")
    mean_fare_3h = Mean("fare", window="3h")


class RiderRides(FeatureView):
    source, entity = rides, rider
    last_fare = Last("fare", window="all")


dear = Label("dear", source=rides, request_key="ride", value=field("fare") >= 20)


def train(*_: Any) -> None:
    """Nobody trains here."""


fares = ModelSpec(
    "fares",
    features=[DriverRides.rides_1h, DriverRides.mean_fare_3h, RiderRides.last_fare],
    label=dear,
    examples=TrainingExamples(
        source=rides, time=field("at"), entities={"driver": "driver", "rider": "rider"}, context={}
    ),
    train=train,
)

watched = Consistency("consistency", model="fares", sample=1.0, window=timedelta(hours=1), minimum_rows=3)
