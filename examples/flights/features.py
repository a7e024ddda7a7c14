"""What a flight's lateness is foretold from, all of it known an hour before schedule.

The airports, the carrier and the aircraft each show how late they have been running; the weather is the
origin's; the rest is in the timetable. A mean or a share without flights in its window is 0, which is on
time; the counts beside it tell the two apart. A reading the weather station did not give is an ordinary
day's.
"""

from __future__ import annotations

from datetime import timedelta

from feature_store import (
    Check,
    Count,
    Entity,
    Expect,
    FeatureView,
    Json,
    Last,
    Mean,
    Protobuf,
    RequestTime,
    Share,
    Source,
    Words,
    day_of_week,
    field,
    local_hour,
    local_minute_of_day,
    request,
)

from examples.flights.gen.flights.v1.events_pb2 import FlightArrived, FlightDeparted

NEW_YORK = "America/New_York"
# An aircraft that has not been here for days says nothing about whether events still come in.
AWAY = timedelta(days=14)
# A replay asks on what was known at the last of its steps, half an hour apart.
SOON = timedelta(minutes=30)

departures = Source(
    "flights.departed.v1",
    format=Protobuf(FlightDeparted),
    event_time="departed_at",
    checks=[
        Check.required("flight_id", "carrier", "origin", "destination", "scheduled_departure_at"),
        Check.range("departure_delay_minutes", -180, 3_000),
        Check.range("distance_miles", 0, 12_000),
    ],
    expectations=[
        Expect.volume(at_least=600, at_most=1_200),  # a blizzard leaves fewer: that should be told
        Expect.fresh(within=timedelta(hours=7)),  # nights are quiet for six hours and a bit
        Expect.unique("flight_id"),
        Expect.null_rate("departure_delay_minutes", at_most=0.01),
        Expect.passes(Check.range("departure_delay_minutes", -60, 480), at_least=0.99),
        Expect.refused(at_most=0.001),
    ],
    max_lateness=timedelta(days=2),
    owner="flight operations",
    sensitivity="public",
)
arrivals = Source(
    "flights.arrived.v1",
    format=Protobuf(FlightArrived),
    event_time="ended_at",
    checks=[
        Check.required("flight_id", "carrier", "origin", "destination", "scheduled_departure_at"),
        Check.one_of("end", ["ARRIVED", "CANCELLED", "DIVERTED"]),
        Check.range("arrival_delay_minutes", -180, 3_000),
        Check.range("distance_miles", 0, 12_000),
        Check.that((field("end") != "ARRIVED") | ~field("arrival_delay_minutes").is_null(), "DELAY_MISSING"),
    ],
    expectations=[
        Expect.volume(at_least=500, at_most=1_200),
        Expect.fresh(within=timedelta(hours=5)),
        Expect.unique("flight_id"),
        Expect.null_rate("tail_number", at_most=0.10),  # a flight cancelled early has no aircraft yet
        Expect.references(
            "flight_id", departures, "flight_id", at_least=0.99, where=field("end") == "ARRIVED"
        ),
        Expect.refused(at_most=0.001),
    ],
    max_lateness=timedelta(days=2),
    owner="flight operations",
    sensitivity="public",
)
weather = Source(
    "weather.observed.v1",
    format=Json(
        {
            "origin": "text",
            "observed_at": "time",
            "temperature_f": "number",
            "dewpoint_f": "number",
            "humidity_percent": "number",
            "wind_speed_mph": "number",
            "wind_gust_mph": "number",
            "precipitation_in": "number",
            "pressure_hpa": "number",
            "visibility_miles": "number",
        }
    ),
    event_time="observed_at",
    partitions=1,
    checks=[
        Check.required("origin"),
        Check.range("temperature_f", -60, 130),
        Check.range("wind_speed_mph", 0, 250),  # Newark reports 1,048 mph once
    ],
    expectations=[
        Expect.volume(at_least=64, at_most=72),  # three stations an hour
        Expect.fresh(within=timedelta(hours=2)),
        Expect.unique("origin", "observed_at"),
        Expect.null_rate("temperature_f", at_most=0.05),
        Expect.null_rate("pressure_hpa", at_most=0.65),  # left out in rain, for hours
        Expect.references("origin", departures, "origin", at_least=1.0),
        Expect.refused(at_most=0.001),
    ],
    max_lateness=timedelta(days=2),
    owner="weather desk",
    sensitivity="public",
)

origin = Entity("origin", "The airport a flight leaves from, by its IATA code.")
destination = Entity("destination", "The airport a flight goes to, by its IATA code.")
carrier = Entity("carrier", "The airline, by its two-character code.")
tail_number = Entity("tail_number", "The aircraft. Unknown for some flights until they leave.")

_left_late = field("departure_delay_minutes") >= 15
_arrived_late = field("arrival_delay_minutes") >= 15
_arrived = field("end") == "ARRIVED"


class _Departures(FeatureView, abstract=True):
    """How punctually flights have been leaving."""

    source = departures
    ttl, freshness = timedelta(days=2), SOON
    mean_delay_1h = Mean(
        "departure_delay_minutes",
        window="1h",
        words=Words("Departures of {key} ran {value} late in the last hour", "min"),
    )
    mean_delay_3h = Mean(
        "departure_delay_minutes",
        window="3h",
        words=Words("Departures of {key} ran {value} late in the last three hours", "min"),
    )
    mean_delay_24h = Mean(
        "departure_delay_minutes",
        window="24h",
        words=Words("Departures of {key} ran {value} late in the last day", "min"),
    )
    late_share_3h = Share(
        where=_left_late,
        window="3h",
        words=Words("Of the departures of {key} in the last three hours {value} were late", "%"),
    )
    departures_1h = Count(window="1h", words=Words("Departures of {key} in the last hour: {value}"))


class OriginDepartures(_Departures):
    """Flights from the airport this flight leaves from."""

    entity = origin


class DestinationDepartures(_Departures):
    """Flights to the airport this flight goes to."""

    entity = destination


class CarrierDepartures(_Departures):
    """The airline's flights."""

    entity = carrier


class AircraftDepartures(FeatureView):
    """The aircraft's own flights; few a day."""

    source = departures
    entity = tail_number
    ttl, freshness = AWAY, SOON
    mean_delay_24h = Mean(
        "departure_delay_minutes",
        window="24h",
        words=Words("Aircraft {key} left {value} late in the last day", "min"),
    )
    late_share_24h = Share(
        where=_left_late,
        window="24h",
        words=Words("Of the departures of aircraft {key} in the last day {value} were late", "%"),
    )
    departures_24h = Count(window="24h", words=Words("Departures of aircraft {key} in the last day: {value}"))


class _Arrivals(FeatureView, abstract=True):
    """How flights have been ending."""

    source = arrivals
    ttl, freshness = timedelta(days=2), SOON
    mean_delay_3h = Mean(
        "arrival_delay_minutes",
        window="3h",
        words=Words("Arrivals of {key} ran {value} late in the last three hours", "min"),
    )
    mean_delay_24h = Mean(
        "arrival_delay_minutes",
        window="24h",
        words=Words("Arrivals of {key} ran {value} late in the last day", "min"),
    )
    late_share_3h = Share(
        where=_arrived_late,
        among=_arrived,
        window="3h",
        words=Words("Of the arrivals of {key} in the last three hours {value} were late", "%"),
    )
    late_share_24h = Share(
        where=_arrived_late,
        among=_arrived,
        window="24h",
        words=Words("Of the arrivals of {key} in the last day {value} were late", "%"),
    )
    cancelled_share_24h = Share(
        where=field("end") == "CANCELLED",
        window="24h",
        words=Words("Of the flights of {key} in the last day {value} were cancelled", "%"),
    )


class DestinationArrivals(_Arrivals):
    """Flights to the airport this flight goes to."""

    entity = destination


class CarrierArrivals(_Arrivals):
    """The airline's flights."""

    entity = carrier


class AircraftArrivals(FeatureView):
    """The aircraft's own flights; few a day."""

    source = arrivals
    entity = tail_number
    ttl, freshness = AWAY, SOON
    last_delay_24h = Last(
        "arrival_delay_minutes", window="24h", words=Words("Aircraft {key} last arrived {value} late", "min")
    )
    mean_delay_24h = Mean(
        "arrival_delay_minutes",
        window="24h",
        words=Words("Aircraft {key} arrived {value} late in the last day", "min"),
    )
    arrivals_24h = Count(
        where=_arrived, window="24h", words=Words("Arrivals of aircraft {key} in the last day: {value}")
    )


class OriginWeather(FeatureView):
    """The weather where the flight leaves, reported hourly; no gust in the report is no gust."""

    source = weather
    entity = origin
    ttl, freshness = timedelta(hours=6), SOON
    temperature_f = Last(
        "temperature_f", window="3h", default=55.0, words=Words("The temperature at {key} is {value}", "°F")
    )
    dewpoint_f = Last(
        "dewpoint_f", window="3h", default=41.0, words=Words("The dew point at {key} is {value}", "°F")
    )
    humidity_percent = Last(
        "humidity_percent",
        window="3h",
        default=62.0,
        words=Words("The humidity at {key} is {value}", "per cent"),
    )
    wind_speed_mph = Last(
        "wind_speed_mph", window="3h", default=10.0, words=Words("The wind at {key} is {value}", "mph")
    )
    wind_gust_mph = Last(
        "wind_gust_mph",
        window="3h",
        default=0.0,
        words=Words("The strongest gust at {key} is {value}", "mph"),
    )
    precipitation_in = Last(
        "precipitation_in", window="3h", default=0.0, words=Words("The rain at {key} is {value}", "in")
    )
    pressure_hpa = Last(
        "pressure_hpa",
        window="3h",
        default=1018.0,
        words=Words("The air pressure at {key} is {value}", "hPa"),
    )
    visibility_miles = Last(
        "visibility_miles",
        window="3h",
        default=10.0,
        words=Words("The visibility at {key} is {value}", "miles"),
    )


# No month: a model that has seen three of them would only learn which three.
scheduled_hour = RequestTime(
    "scheduled_hour",
    local_hour(request("scheduled_at"), zone=NEW_YORK),
    words=Words("The hour of the schedule is {value}"),
)
scheduled_minute_of_day = RequestTime(
    "scheduled_minute_of_day",
    local_minute_of_day(request("scheduled_at"), zone=NEW_YORK),
    words=Words("The schedule is {value} after midnight", "min"),
)
scheduled_day_of_week = RequestTime(
    "scheduled_day_of_week",
    day_of_week(request("scheduled_at"), zone=NEW_YORK),
    words=Words("The day of the week is {value} after Monday", "days"),
)
distance_miles = RequestTime(
    "distance_miles", request("distance_miles"), words=Words("The flight is {value} long", "miles")
)
