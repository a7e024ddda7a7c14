"""How good the scores were: pure functions over the frames read back from the lake.

A *resolved* frame has one row a (prediction, version): `version, role, score, outcome, request_time,
outcome_recorded_time`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from monitoring import roc_auc

if TYPE_CHECKING:
    from numpy.typing import NDArray

MINIMUM_A_WEEK = 50
CALIBRATION_BINS = 12


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a line: `x` and `y` of the same length."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]


def auc_of(frame: pl.DataFrame, score: str = "score") -> float | None:
    """ROC AUC of `score` against `outcome`; None when it is undefined (no rows, or one class only)."""
    return roc_auc(frame["outcome"].to_numpy(), frame[score].to_numpy())


def auc_by_week(frame: pl.DataFrame, score: str = "score") -> pl.DataFrame:
    """ROC AUC by week of request time: `week` (its Monday), `auc`, `rows`; no week of under 50 rows."""
    weekly = frame.with_columns(week=pl.col("request_time").dt.truncate("1w").dt.date())
    rows = [
        {"week": key[0], "auc": auc_of(part, score), "rows": part.height}
        for key, part in weekly.group_by("week")
        if part.height >= MINIMUM_A_WEEK
    ]
    schema = {"week": pl.Date, "auc": pl.Float64, "rows": pl.Int64}
    return pl.DataFrame(rows, schema=schema).drop_nulls("auc").sort("week")


def hour_of_day_rates(hours: NDArray[np.int64], outcomes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The base rate by local hour of schedule, float64[24]; an hour never seen has the overall rate."""
    counts = np.bincount(hours, minlength=24)
    late = np.bincount(hours, weights=outcomes, minlength=24)
    return np.where(counts > 0, late / np.maximum(counts, 1), outcomes.mean())


def calibration(frame: pl.DataFrame) -> Curve:
    """Mean score against the observed rate in twelve bins of equal count."""
    ordered = frame.sort("score")
    parts = np.array_split(np.arange(ordered.height), min(CALIBRATION_BINS, max(ordered.height, 1)))
    score, outcome = ordered["score"].to_numpy(), ordered["outcome"].to_numpy()
    filled = [part for part in parts if len(part)]
    return Curve(
        np.array([score[part].mean() for part in filled]), np.array([outcome[part].mean() for part in filled])
    )


def label_maturity(frame: pl.DataFrame, predictions: int) -> Curve:
    """Share of all `predictions` whose label is known, by hours since the request."""
    hours = (frame["outcome_recorded_time"] - frame["request_time"]).dt.total_seconds().to_numpy() / 3600
    known = np.sort(hours)
    return Curve(known, np.arange(1, len(known) + 1) / max(predictions, 1))
