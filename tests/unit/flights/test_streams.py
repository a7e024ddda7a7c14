from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from examples.flights.gen.flights.v1.events_pb2 import FlightArrived, FlightDeparted, FlightEnd
from examples.flights.streams import Streams, load_streams, microseconds

_HOUR_US = 3_600_000_000
_FROM = datetime(2013, 2, 12, 5, tzinfo=UTC)
_TO = datetime(2013, 2, 14, 5, tzinfo=UTC)


def test_every_stream_is_in_the_order_it_became_known_and_within_the_period(two_days: Streams) -> None:
    for source in two_days.sources:
        times = [event.recorded_time_us for event in source.events(slice(None))]
        assert times == sorted(times)
        assert times == source.recorded_time_us.tolist()
        assert two_days.from_us <= times[0]
        assert times[-1] < two_days.to_us
    asked = [request.request_time_us for request in two_days.requests.requests(slice(None))]
    assert asked == two_days.requests.time_us.tolist() == sorted(asked)


def test_two_periods_side_by_side_hold_what_the_whole_holds(two_days: Streams) -> None:
    middle = datetime(2013, 2, 13, 2, 17, tzinfo=UTC)
    halves = load_streams(_FROM, middle), load_streams(middle, _TO)
    for whole, first, second in zip(two_days.sources, halves[0].sources, halves[1].sources, strict=True):
        assert first.events(slice(None)) + second.events(slice(None)) == whole.events(slice(None))
    asked = [request for half in halves for request in half.requests.requests(slice(None))]
    assert asked == two_days.requests.requests(slice(None))


def test_the_whole_year_is_every_flight_and_every_report() -> None:
    year = load_streams(datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 3, tzinfo=UTC))
    assert [len(source) for source in year.sources] == [328_521, 336_776, 26_115]
    assert len(year.requests) == 336_776


def test_ids_are_unique_and_the_same_in_every_run(two_days: Streams) -> None:
    ids = [event.id for source in two_days.sources for event in source.events(slice(None))]
    again = load_streams(_FROM, _TO)
    assert len(set(ids)) == len(ids) == two_days.event_count
    assert ids == [event.id for source in again.sources for event in source.events(slice(None))]


def test_a_departure_says_what_the_record_says(two_days: Streams) -> None:
    event = two_days.departed.events(slice(0, 1))[0]
    message = FlightDeparted.FromString(event.data)
    assert event.type == "flights.v1.FlightDeparted"
    assert event.id == f"{message.flight_id}:departed"
    assert event.key == message.flight_id.encode()
    departed_us = message.departed_at.ToMicroseconds()
    assert departed_us == event.time_us == event.recorded_time_us
    scheduled_us = message.scheduled_departure_at.ToMicroseconds()
    assert departed_us - scheduled_us == message.departure_delay_minutes * 60_000_000


def test_only_a_flight_that_arrived_has_an_arrival_delay(two_days: Streams) -> None:
    messages = [FlightArrived.FromString(event.data) for event in two_days.arrived.events(slice(None))]
    assert {message.end for message in messages} == {
        FlightEnd.FLIGHT_END_ARRIVED,
        FlightEnd.FLIGHT_END_CANCELLED,
        FlightEnd.FLIGHT_END_DIVERTED,
    }
    for message in messages:
        assert message.HasField("arrival_delay_minutes") == (message.end == FlightEnd.FLIGHT_END_ARRIVED)


def test_a_cancelled_flight_is_asked_about_and_ends_but_never_departs(two_days: Streams) -> None:
    ended = [FlightArrived.FromString(event.data) for event in two_days.arrived.events(slice(None))]
    cancelled = {message.flight_id for message in ended if message.end == FlightEnd.FLIGHT_END_CANCELLED}
    departed = {
        FlightDeparted.FromString(event.data).flight_id for event in two_days.departed.events(slice(None))
    }
    asked = {request.flight_id for request in two_days.requests.requests(slice(None))}
    assert cancelled
    assert not cancelled & departed
    assert cancelled & asked


def test_weather_is_known_at_minute_51_and_leaves_out_what_was_not_measured(two_days: Streams) -> None:
    event = two_days.weather.events(slice(0, 1))[0]
    report = json.loads(event.data)
    assert event.content_type == "application/json"
    assert event.time_us % _HOUR_US == 51 * 60_000_000
    assert microseconds(datetime.fromisoformat(report["observed_at"])) == event.time_us
    assert event.key == report["origin"].encode()
    assert "wind_gust_mph" not in report
    assert None not in report.values()


def test_a_question_is_asked_an_hour_before_schedule(two_days: Streams) -> None:
    for request in two_days.requests.requests(slice(None)):
        assert request.request_time_us == request.scheduled_at_us - _HOUR_US


def test_a_question_says_in_proto_what_it_says(two_days: Streams) -> None:
    request = two_days.requests.requests(slice(0, 1))[0]
    message = request.to_proto("flight-delay")
    assert message.prediction_id == message.request_key == request.flight_id
    assert message.context["flight_id"].text == request.flight_id
    assert message.context["scheduled_at"].time.ToMicroseconds() == request.scheduled_at_us
    assert message.context["distance_miles"].number == request.distance_miles
    assert dict(message.entities) == request.entities


def test_a_question_without_an_aircraft_names_none(two_days: Streams) -> None:
    keys = [one.entities["tail_number"] for one in two_days.requests.requests(slice(None))]
    assert keys.count("") > 0
    assert all(key.startswith("N") for key in keys if key)


def test_a_lag_makes_events_known_later_and_changes_nothing_else(two_days: Streams) -> None:
    lag = timedelta(minutes=90)
    lagged = load_streams(_FROM + lag, _TO + lag, recorded_lag=lag)
    for source, late in zip(two_days.sources, lagged.sources, strict=True):
        assert np.array_equal(
            late.recorded_time_us, source.recorded_time_us + lag // timedelta(microseconds=1)
        )
        before, after = source.events(slice(None)), late.events(slice(None))
        assert [(one.id, one.time_us, one.data) for one in after] == [
            (one.id, one.time_us, one.data) for one in before
        ]
        assert [one.recorded_time_us for one in after] == late.recorded_time_us.tolist()


def test_a_lag_leaves_the_questions_where_they_are(two_days: Streams) -> None:
    lagged = load_streams(_FROM, _TO, recorded_lag=timedelta(minutes=90))
    assert lagged.requests.requests(slice(None)) == two_days.requests.requests(slice(None))


@pytest.mark.parametrize("bounds", [(_FROM, _FROM), (_TO, _FROM)])
def test_an_empty_period_is_refused(bounds: tuple[datetime, datetime]) -> None:
    with pytest.raises(ValueError, match="the period is empty"):
        load_streams(*bounds)


def test_a_period_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="need a zone"):
        load_streams(_FROM.replace(tzinfo=None), _TO)
