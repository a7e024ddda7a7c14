"""The worked example loads as its user wrote it: what it foretells, from what, and when it is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from feature_store import Incoming, Project, decode_events, load_project

from examples.flights.gen.flights.v1.events_pb2 import FlightArrived, FlightEnd

if TYPE_CHECKING:
    from feature_store import EventBatch

SCHEDULED = datetime(2013, 7, 1, 12, 30, tzinfo=UTC)
SCHEDULED_US = int(SCHEDULED.timestamp()) * 1_000_000
HOUR_US = 3_600_000_000


@pytest.fixture(scope="module")
def project() -> Project:
    return load_project("examples.flights")


def arrivals(project: Project) -> EventBatch:
    ends = [
        (FlightEnd.FLIGHT_END_ARRIVED, 14.0),
        (FlightEnd.FLIGHT_END_ARRIVED, 15.0),
        (FlightEnd.FLIGHT_END_CANCELLED, None),
        (FlightEnd.FLIGHT_END_DIVERTED, None),
        (FlightEnd.FLIGHT_END_ARRIVED, None),
        (FlightEnd.FLIGHT_END_UNSPECIFIED, None),
    ]
    messages = [
        FlightArrived(
            flight_id=f"flight{index}",
            carrier="B6",
            origin="JFK",
            destination="BQN",
            end=end,
            arrival_delay_minutes=delay,
            distance_miles=1576,
        )
        for index, (end, delay) in enumerate(ends)
    ]
    for message in messages:
        message.scheduled_departure_at.FromDatetime(SCHEDULED)
        message.ended_at.FromDatetime(SCHEDULED + timedelta(hours=4))
    n = len(messages)
    recorded_us = SCHEDULED_US + 4 * HOUR_US
    incoming = Incoming(
        [message.SerializeToString() for message in messages],
        [""] * n,
        [b""] * n,
        [0] * n,
        [recorded_us] * n,
        [0] * n,
        list(range(n)),
    )
    batch, rejects = decode_events(project.sources["flights.arrived.v1"], incoming)
    assert [(reject.index, reject.reason) for reject in rejects] == [(4, "DELAY_MISSING"), (5, "NOT_ALLOWED")]
    return batch


def test_it_declares_three_sources_eight_views_and_one_model(project: Project) -> None:
    assert list(project.sources) == ["flights.departed.v1", "flights.arrived.v1", "weather.observed.v1"]
    assert list(project.entities) == ["origin", "destination", "carrier", "tail_number"]
    assert len(project.views) == 8
    contract = project.contract("flight-delay")
    assert contract.entities == ("origin", "destination", "carrier", "tail_number")
    assert len(contract.feature_names) == 43
    assert set(contract.views) == set(project.views.values())


def test_a_flight_is_late_from_fifteen_minutes_or_when_cancelled_and_diverted_ones_tell_nothing(
    project: Project,
) -> None:
    outcomes = project.labels["arrived_late"].outcomes(arrivals(project))
    assert outcomes.request_keys.tolist() == ["flight0", "flight1", "flight2"]
    assert outcomes.values.tolist() == [0.0, 1.0, 1.0]


def test_an_example_is_asked_about_an_hour_before_schedule(project: Project) -> None:
    spec = project.models["flight-delay"]
    made = spec.examples.of(arrivals(project), spec.request_key)
    assert set(made.requests.time_us.tolist()) == {SCHEDULED_US - HOUR_US}
    assert made.requests.entities["tail_number"].tolist() == [None] * 4
    assert made.requests.context["scheduled_at"].tolist() == [SCHEDULED_US] * 4
    hour = project.requests["scheduled_hour"].expression.evaluate(made.requests.context, 4)
    assert hour.tolist() == [8.0] * 4


@pytest.mark.parametrize("algorithm", ["gradient-boosting", "logistic-regression"])
def test_training_gives_the_same_model_for_the_same_seed(project: Project, algorithm: str) -> None:
    generator = np.random.default_rng(7)
    features = generator.normal(size=(600, 5)).astype(np.float32)
    labels = (features[:, 0] + generator.normal(size=600) > 0).astype(np.float64)
    train = project.models["flight-delay"].algorithms[algorithm]
    first, second = (train(features, labels, 11).predict_proba(features)[:, 1] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.corrcoef(first, labels)[0, 1] > 0.4
