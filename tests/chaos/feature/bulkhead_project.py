"""Two sources of two producers: one behaves, the other need not."""

from __future__ import annotations

from datetime import timedelta

from feature_store import Check, Count, Entity, FeatureView, Json, Last, Source

FIELDS = {"place": "text", "value": "number", "at": "time"}
sound = Source("sound.v1", format=Json(FIELDS), event_time="at", partitions=2)
broken = Source(
    "broken.v1",
    format=Json(FIELDS),
    event_time="at",
    partitions=2,
    checks=[Check.required("place")],
    max_lateness=timedelta(days=1),
)
place = Entity("place")


class Sound(FeatureView):
    source, entity = sound, place
    last_value_24h = Last("value", window="24h")


class Broken(FeatureView):
    source, entity = broken, place
    events_1h = Count(window="1h")
