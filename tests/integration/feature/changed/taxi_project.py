"""The taxi project after a change: another window for the cities, one view more, the drivers as they were."""

from __future__ import annotations

from datetime import timedelta

from feature_store import (
    Check,
    Count,
    Entity,
    FeatureView,
    Json,
    Label,
    Last,
    Mean,
    Share,
    Source,
    Sum,
    field,
)

trips = Source(
    "trips.ended.v1",
    format=Json({"trip": "text", "driver": "text", "city": "text", "fare": "number", "ended_at": "time"}),
    event_time="ended_at",
    partitions=4,
    checks=[Check.required("trip", "city", "fare"), Check.range("fare", 0, 1_000)],
    max_lateness=timedelta(days=1),
)
city, driver = Entity("city"), Entity("driver")


class CityTrips(FeatureView):
    source, entity = trips, city
    trips_1h = Count(window="1h")
    mean_fare_3h = Mean("fare", window="6h")
    dear_share_3h = Share(where=field("fare") >= 20, window="3h")


class DriverTrips(FeatureView):
    source, entity = trips, driver
    trips_1h = Count(window="1h")
    last_fare_24h = Last("fare", window="24h")


class DriverFares(FeatureView):
    source, entity = trips, driver
    fares_all = Sum("fare", window="all")


dear = Label("dear", source=trips, request_key="trip", value=field("fare") >= 20)
