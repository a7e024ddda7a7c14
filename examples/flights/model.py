"""Will this flight arrive late? Asked an hour before schedule."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from feature_store import ModelSpec, TrainingExamples, field

from examples.flights.features import (
    AircraftArrivals,
    AircraftDepartures,
    CarrierArrivals,
    CarrierDepartures,
    DestinationArrivals,
    DestinationDepartures,
    OriginDepartures,
    OriginWeather,
    arrivals,
    distance_miles,
    scheduled_day_of_week,
    scheduled_hour,
    scheduled_minute_of_day,
)
from examples.flights.labels import arrived_late

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline


def train_gradient_boosting(
    features: NDArray[np.float32], labels: NDArray[np.float64], seed: int
) -> HistGradientBoostingClassifier:
    """Fit boosted trees: 200 small steps, with leaves large enough not to learn single storms."""
    # Every service loads this module; only a trainer needs scikit-learn.
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415

    model = HistGradientBoostingClassifier(
        learning_rate=0.06,
        max_iter=200,
        max_leaf_nodes=31,
        min_samples_leaf=100,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    return model.fit(features, labels)


def train_logistic(features: NDArray[np.float32], labels: NDArray[np.float64], seed: int) -> Pipeline:
    """Fit a straight line through standardised features: the simplest model worth comparing with."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - as above
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, random_state=seed))
    return model.fit(features, labels)


def train_shuffled_labels(
    features: NDArray[np.float32], labels: NDArray[np.float64], seed: int
) -> HistGradientBoostingClassifier:
    """Fit the same trees to labels dealt out at random: bad on purpose, for gates and canaries to catch.

    No such version must ever answer for long; the demo trains two to show that none does.
    """
    import numpy as np  # noqa: PLC0415 - as above

    return train_gradient_boosting(features, np.random.default_rng(seed).permutation(labels), seed)


flight_delay = ModelSpec(
    "flight-delay",
    features=[
        OriginDepartures.mean_delay_1h,
        OriginDepartures.mean_delay_3h,
        OriginDepartures.mean_delay_24h,
        OriginDepartures.late_share_3h,
        OriginDepartures.departures_1h,
        DestinationDepartures.mean_delay_1h,
        DestinationDepartures.mean_delay_3h,
        DestinationDepartures.mean_delay_24h,
        DestinationDepartures.late_share_3h,
        DestinationDepartures.departures_1h,
        CarrierDepartures.mean_delay_1h,
        CarrierDepartures.mean_delay_3h,
        CarrierDepartures.mean_delay_24h,
        CarrierDepartures.late_share_3h,
        CarrierDepartures.departures_1h,
        AircraftDepartures.mean_delay_24h,
        AircraftDepartures.late_share_24h,
        AircraftDepartures.departures_24h,
        DestinationArrivals.mean_delay_3h,
        DestinationArrivals.mean_delay_24h,
        DestinationArrivals.late_share_3h,
        DestinationArrivals.late_share_24h,
        DestinationArrivals.cancelled_share_24h,
        CarrierArrivals.mean_delay_3h,
        CarrierArrivals.mean_delay_24h,
        CarrierArrivals.late_share_3h,
        CarrierArrivals.late_share_24h,
        CarrierArrivals.cancelled_share_24h,
        AircraftArrivals.last_delay_24h,
        AircraftArrivals.mean_delay_24h,
        AircraftArrivals.arrivals_24h,
        OriginWeather.temperature_f,
        OriginWeather.dewpoint_f,
        OriginWeather.humidity_percent,
        OriginWeather.wind_speed_mph,
        OriginWeather.wind_gust_mph,
        OriginWeather.precipitation_in,
        OriginWeather.pressure_hpa,
        OriginWeather.visibility_miles,
        scheduled_hour,
        scheduled_minute_of_day,
        scheduled_day_of_week,
        distance_miles,
    ],
    label=arrived_late,
    score_words="risk of a late arrival",
    examples=TrainingExamples(
        source=arrivals,
        time=field("scheduled_departure_at") - timedelta(hours=1),
        entities={
            "origin": "origin",
            "destination": "destination",
            "carrier": "carrier",
            "tail_number": "tail_number",
        },
        context={
            "scheduled_at": "scheduled_departure_at",
            "distance_miles": "distance_miles",
            "flight_id": "flight_id",
        },
        request_key="flight_id",
    ),
    train=train_gradient_boosting,
    challengers={"logistic-regression": train_logistic, "shuffled-labels": train_shuffled_labels},
    decision_threshold=0.3,
    slices=["carrier", "origin"],
    seed=2013,
    owner="flights-oncall",
    risk="medium",
)
