"""What the environment tells this service."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field
from service_kit import Settings


class DetectorSettings(Settings):
    """The frame's settings, and where state and packages are; the README has the table.

    Attributes:
        tidemark_project: Declares the models and their monitors, e.g. `examples.flights`.
        packages_uri: The package store; references are in the packages.
        drift_state_prefix: Of every key in Redis; two stacks on one Redis need two.
        drift_keep: So long after a window has ended, in event time, late facts still amend its figures.
        drift_state_ttl: State that nobody writes to is dropped after so long, in real time.
        drift_wait: How long a batch may gather.
        drift_beat: How often windows are looked after.
        lake_uri: The archiver's lake, from which what was served is recomputed.
        archiver_group: The group that fills it.
        audit_beat: How often the lake is looked at for windows that have closed.
        audit_batch: So many vectors are recomputed at once; memory follows.
        audit_most: A window's sample is at most so large, whatever share is declared.
        labels_group: The group that joins outcomes; monitors that need labels wait for it.
    """

    tidemark_project: Annotated[str, Field(min_length=1)]
    packages_uri: Annotated[str, Field(min_length=1)] = "data/packages"
    drift_state_prefix: Annotated[str, Field(min_length=1, max_length=64)] = "tm:drift"
    drift_keep: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(days=45)
    drift_state_ttl: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(days=400)
    drift_wait: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(seconds=10))] = timedelta(
        milliseconds=250
    )
    drift_beat: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(milliseconds=100)
    lake_uri: Annotated[str, Field(min_length=1)] = "build/lake"
    archiver_group: Annotated[str, Field(min_length=1)] = "archiver"
    audit_beat: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(seconds=5)
    audit_batch: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    audit_most: Annotated[int, Field(ge=1)] = 20_000
    labels_group: Annotated[str, Field(min_length=1)] = "shadow-comparator"
