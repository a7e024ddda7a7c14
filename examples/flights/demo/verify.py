"""Holds a run to its promises: what was served is recomputed from the lake, what was published is counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from feature_store.offline import Applied, freshness_gap_us, point_in_time
from feature_store.statuses import Status
from training_sets.predictions import served_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from feature_store import EventBatch
    from feature_store.contract import Contract


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Served vectors against the lake.

    Attributes:
        compared: How many predictions were recomputed.
        skew_mismatches: How many vectors differ in any bit, values or statuses, of what was read from rows or
            computed from the request.
        degraded: How many vectors had a row that could not be read in time: its features are defaults.
        freshness_gap_p99_s: 99th percentile of how old, in event time, the oldest event was that was known
            at the request's time and not yet applied; 0 where there was none.
    """

    compared: int
    skew_mismatches: int
    degraded: int
    freshness_gap_p99_s: float


def fidelity(contract: Contract, events: Mapping[str, EventBatch], predictions: pl.DataFrame) -> Fidelity:
    """Recomputes every served vector from exactly what its rows say they had applied."""
    served = served_of(contract, predictions.to_arrow())
    requests, applied = served.requests, Applied(served.applied)
    again = point_in_time(contract, events, requests, applied)
    defaulted = served.statuses == Status.DEFAULTED
    same = (served.statuses == again.statuses) | defaulted
    same &= (served.bits == again.values.astype("<f4").view("<u4")) | defaulted
    degraded = int(defaulted.any(axis=1).sum())
    gaps_us = freshness_gap_us(contract, events, requests, applied)
    p99 = float(np.percentile(gaps_us, 99)) / 1e6 if len(gaps_us) else 0.0
    return Fidelity(predictions.height, int((~same.all(axis=1)).sum()), degraded, p99)


def disagreeing(records: pl.DataFrame) -> int:
    """How many predictions were recorded with different answers: another version, score or vector.

    The same answer recorded twice, as after a crash, is no second prediction.
    """
    answers = records.unique(["prediction_id", "version", "score", "features__values"])
    return answers.height - answers["prediction_id"].n_unique()
