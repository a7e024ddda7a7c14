"""What the environment tells this service."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field
from service_kit import Settings


class ComparatorSettings(Settings):
    """The frame's settings, and how windows are cut, matured and judged; the README has the table.

    Attributes:
        tidemark_project: Names the models, their tasks and decision thresholds, e.g. `examples.flights`.
        comparison_mature_coverage: Above 1, windows mature by age alone: what is then said for good depends
            on event time only.
        prediction_log_prefix: Of every key; two stacks on one Redis need two.
    """

    tidemark_project: Annotated[str, Field(min_length=1)]
    prediction_log_prefix: Annotated[str, Field(min_length=1, max_length=64)] = "tm:join"
    answer_ttl: timedelta = timedelta(days=45)
    outcome_ttl: timedelta = timedelta(days=7)
    evidence_ttl: timedelta = timedelta(days=400)
    join_wait: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(seconds=10))] = timedelta(
        milliseconds=250
    )
    comparison_window: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(days=1)
    comparison_mature_coverage: Annotated[float, Field(gt=0)] = 0.97
    comparison_mature_age: Annotated[timedelta, Field(ge=timedelta(0))] = timedelta(days=3)
    comparison_revision_step: Annotated[float, Field(gt=0, le=1)] = 0.25
    comparison_quiet: timedelta = timedelta(seconds=5)
    comparison_beat: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(seconds=1)
    verdict_alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    verdict_least_pairs: Annotated[int, Field(ge=1)] = 1_000
    verdict_least_windows: Annotated[int, Field(ge=2)] = 14
    verdict_margin_nats: Annotated[float, Field(ge=0)] = 0.005
    verdict_margin_share: Annotated[float, Field(ge=0)] = 0.01
    verdict_tightest_at_pairs: Annotated[int, Field(ge=1)] = 20_000
