"""A project for measuring: many models of sixteen features over four views of the flights' departures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from feature_store import ModelSpec, TrainingExamples, field

from examples.flights.features import (
    AircraftDepartures,
    CarrierDepartures,
    DestinationDepartures,
    OriginDepartures,
    departures,
)
from examples.flights.labels import arrived_late

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODELS: Final = 50


def train_nothing(_features: NDArray[np.float32], _labels: NDArray[np.float64], _seed: int) -> None:
    """Packages of these models are written by the bench."""


def _model(number: int) -> ModelSpec:
    return ModelSpec(
        f"sixteen-{number}",
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
            CarrierDepartures.mean_delay_1h,
            CarrierDepartures.mean_delay_3h,
            CarrierDepartures.mean_delay_24h,
            CarrierDepartures.late_share_3h,
            AircraftDepartures.mean_delay_24h,
            AircraftDepartures.late_share_24h,
            AircraftDepartures.departures_24h,
        ],
        label=arrived_late,
        examples=TrainingExamples(
            source=departures,
            time=field("scheduled_departure_at"),
            entities={
                "origin": "origin",
                "destination": "destination",
                "carrier": "carrier",
                "tail_number": "tail_number",
            },
        ),
        train=train_nothing,
    )


# A project's models are the module's variables.
globals().update({f"sixteen_{number}": _model(number) for number in range(MODELS)})
