from __future__ import annotations

from feature_store import Count, Entity, FeatureView, Json, Source
from feature_store.subjects import named_in, rows_of

rides = Source(
    "rides", format=Json({"from": "text", "to": "text", "rider": "text", "at": "time"}), event_time="at"
)


class RiderRides(FeatureView):
    source, entity = rides, Entity("rider")
    rides_1h = Count(window="1h")


class RouteRides(FeatureView):
    source, entity, key = rides, Entity("route", keys=("start", "rider")), ("from", "rider")
    rides_1h = Count(window="1h")


VIEWS = [RiderRides.view, RouteRides.view]


def test_a_subject_s_own_rows_are_told_from_those_it_shares() -> None:
    assert rows_of(VIEWS, "rider") == ([RiderRides.view], [RouteRides.view])
    assert rows_of(VIEWS, "start") == ([], [RouteRides.view])
    assert rows_of(VIEWS, "route") == ([], [])


def test_every_part_of_a_key_names_its_subject() -> None:
    assert named_in(VIEWS, []) == {
        "rider": {"rides": frozenset({"rider"})},
        "start": {"rides": frozenset({"from"})},
    }
