"""A project of one source."""

from __future__ import annotations

from feature_store import Check, Expect, Json, Source

meters = Source(
    "meters.read.v1",
    format=Json({"meter": "text", "value": "number", "at": "time"}),
    event_time="at",
    checks=[Check.required("meter"), Check.range("value", 0, 100)],
    expectations=[Expect.volume(at_least=3), Expect.refused(at_most=0.2)],
    owner="metering",
)
