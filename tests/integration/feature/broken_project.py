"""A project with a mistake: its view is of no entity."""

from __future__ import annotations

from feature_store import Count, FeatureView, Json, Source

trips = Source("trips.v1", format=Json({"city": "text"}), event_time=None)


class CityTrips(FeatureView):
    source = trips
    trips_1h = Count(window="1h")
