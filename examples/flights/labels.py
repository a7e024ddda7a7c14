"""What came of a flight."""

from __future__ import annotations

from feature_store import Label, field

from examples.flights.features import arrivals

# A diverted flight arrives at no time that could be late or not: it has no label.
arrived_late = Label(
    "arrived_late",
    source=arrivals,
    request_key="flight_id",
    value=(field("arrival_delay_minutes") >= 15) | (field("end") == "CANCELLED"),
    when=field("end") != "DIVERTED",
)
