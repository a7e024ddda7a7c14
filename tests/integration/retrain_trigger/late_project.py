"""Models whose retraining somebody may want: one for each test, for topics are shared."""

from __future__ import annotations

from datetime import timedelta

from feature_store import Count, Entity, FeatureView, Json, Label, ModelSpec, Source, TrainingExamples, field
from monitoring.monitors import DataQuality, FeatureDrift, Performance
from monitoring.policies import PersistentDrift

DAY, WEEK = timedelta(days=1), timedelta(days=7)
MODELS = ("asked", "refused", "restarted", "killed", "malformed", "outage")

trips = Source(
    "trips.ended.v1",
    format=Json({"trip": "text", "city": "text", "fare": "number", "ended_at": "time"}),
    event_time="ended_at",
    partitions=1,
)
city = Entity("city")


class CityTrips(FeatureView):
    source, entity = trips, city
    trips_1h = Count(window="1h")


dear = Label("dear", source=trips, request_key="trip", value=field("fare") >= 20)


def train(*_: object) -> None:
    raise NotImplementedError


for _name in MODELS:
    globals()[f"model_{_name}"] = ModelSpec(
        _name,
        features=[CityTrips.trips_1h],
        label=dear,
        examples=TrainingExamples(source=trips, time=field("ended_at"), entities={"city": "city"}),
        train=train,
    )
    globals()[f"quality_{_name}"] = DataQuality("input-quality", model=_name, window=DAY, missing=0.1)
    globals()[f"drift_{_name}"] = FeatureDrift("input-drift", model=_name, window=WEEK, psi=0.25)
    globals()[f"performance_{_name}"] = Performance("quality", model=_name, window=WEEK, metric="roc_auc")
    globals()[f"policy_{_name}"] = PersistentDrift(
        "persistent-drift",
        model=_name,
        monitor="input-drift",
        windows=2,
        least_new_labels=1_000,
        cooldown=timedelta(days=28),
    )
