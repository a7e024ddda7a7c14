"""A project as a user would write it, the smallest that has a lake."""

from feature_store import Check, Json, Source

clicks = Source(
    "clicks.v1",
    format=Json({"page": "text", "seconds": "number", "at": "time"}),
    event_time="at",
    partitions=3,
    checks=[Check.required("page")],
)
