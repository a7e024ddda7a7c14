"""What the environment tells this service."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from service_kit import Settings


class DetectorSettings(Settings):
    """The frame's settings, and where state and packages are; the README has the table.

    Attributes:
        tidemark_project: Declares the models and their monitors, e.g. `examples.flights`.
        packages_uri: The package store; references are in the packages.
        drift_state_prefix: Of every key in Redis; two stacks on one Redis need two.
    """

    tidemark_project: Annotated[str, Field(min_length=1)]
    packages_uri: Annotated[str, Field(min_length=1)] = "data/packages"
    drift_state_prefix: Annotated[str, Field(min_length=1, max_length=64)] = "tm:drift"
