"""Building a reference profile from a training set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitoring.distances import psi
from monitoring.profiles.distributions import Variation
from monitoring.profiles.parsing import FORMAT_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

_PERCENTILES: Final = np.arange(1, 100) / 100
_DECILES: Final = slice(9, None, 10)
_DIGITS: Final = 9
_DAY_US: Final = 86_400_000_000
_WINDOWS_US: Final = (_DAY_US, 7 * _DAY_US)
_LEAST_ROWS_A_WINDOW: Final = 50
_SCORE_TOLERANCE: Final = 1e-5
"""By how much a score may differ between the library that fitted the model and the one that serves it.

Of itself, where it is beyond 1: a graph answers in float32.
"""
_MOST_CLASSES: Final = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """The rows that a model was trained on.

    Attributes:
        names: The features, in the order of the columns.
        values: float32[n, F], exactly as the model sees them.
        present: Where a value was there, bool[n, F]; elsewhere stands a default, which is not profiled.
        statuses: By feature, how many rows had which status; told as it is.
        time_us: When each row was asked, int64[n].
        labels: 0 or 1, or whatever else a model is to foretell, [n].
        categories: By the name of a slice, each row's category, object[n]; None or empty for none.
    """

    names: Sequence[str]
    values: NDArray[np.float32]
    present: NDArray[np.bool_]
    statuses: Sequence[Mapping[str, int]]
    time_us: NDArray[np.int64]
    labels: NDArray[np.float64]
    categories: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        shape = (len(self.labels), len(self.names))
        columns = [self.time_us, *self.categories.values()]
        if self.values.shape != shape or self.present.shape != shape or len(self.statuses) != shape[1]:
            raise ValueError(
                f"{shape[0]} labels and {shape[1]} names do not fit values {self.values.shape}, present "
                f"{self.present.shape} and {len(self.statuses)} statuses"
            )
        if any(len(column) != shape[0] for column in columns):
            raise ValueError(f"times and categories must have {shape[0]} rows, as the labels have")
        if not shape[0]:
            raise ValueError("a training set without rows has no profile")


def build_profile(rows: TrainingSet, holdout_scores: NDArray[np.float64]) -> dict[str, Any]:
    """Profile a training set, as JSON has it.

    A feature's figures are of the values that were there; how many were not, and why, stands beside them.
    The prediction's figures are of scores on the holdout, by the model fitted without it: a model is surer
    of the rows it has learned than of any it will be asked about.

    Raises:
        ValueError: The holdout has no score.
    """
    if not len(holdout_scores):
        raise ValueError("without scores on a holdout there is nothing to compare predictions with")
    return {
        "format_version": FORMAT_VERSION,
        "rows": len(rows.labels),
        "label": _label(rows.labels),
        "prediction": {**distribution(holdout_scores, tolerance=_SCORE_TOLERANCE), "of": "holdout"},
        "features": [_feature(rows, column) for column in range(len(rows.names))],
        "categories": {name: _categories(column) for name, column in sorted(rows.categories.items())},
    }


def _label(labels: NDArray[np.float64]) -> dict[str, Any]:
    """Profile labels: 0 and 1 by the share of positives, others by mean and spread; classes by count too."""
    if np.isin(labels, (0, 1)).all():
        return {"rate": stable(labels.mean()), "rows": len(labels)}
    found: dict[str, Any] = {"rate": None, "rows": len(labels)}
    found |= {"mean": stable(labels.mean()), "std": stable(labels.std())}
    if np.isin(labels, np.arange(_MOST_CLASSES)).all():
        found["counts"] = np.bincount(labels.astype(np.int64)).tolist()
    return found


def distribution(values: NDArray[Any], *, tolerance: float = 0.0) -> dict[str, Any]:
    """Return bins, counts and moments; moments are null where there is no value.

    Args:
        values: The sample.
        tolerance: How far a later value may be from the one it repeats, as a share of it where it is beyond
            1: edges lie so much above the value they were cut at, or half way to the next, so that a value
            that many rows share stays in its bin.
    """
    if not len(values):
        empty = {"edges": [], "counts": [0], "fine_edges": [], "fine_counts": [0]}
        return {**empty, "mean": None, "std": None, "min": None, "max": None}
    exact = values.astype(np.float64)
    cuts = _cuts(exact, tolerance)
    return {
        **_counted("", np.unique(cuts[_DECILES]), exact),
        **_counted("fine_", np.unique(cuts), exact),
        "mean": stable(exact.mean()),
        "std": stable(exact.std()),
        "min": float(exact.min()),
        "max": float(exact.max()),
    }


def variation(
    bins: NDArray[np.intp], bin_count: int, time_us: NDArray[np.int64], window_us: int
) -> Variation:
    """Compare each window of a sample with all the rest of it.

    Windows are aligned to the epoch. One that the sample does not cover, but for a tenth at either end, is
    left out, for it is shorter than it says; so is one with fewer than 50 values.

    Args:
        bins: Of each value.
        bin_count: How many bins there are.
        time_us: Of each value.
        window_us: The windows' length.
    """
    total = np.bincount(bins, minlength=bin_count)
    compared = _windows(bins, bin_count, time_us, window_us)
    found = [value for one in compared if (value := psi(total - one, one)) is not None]
    if not found:
        return Variation(0, 0.0, 0.0)
    return Variation(len(found), stable(np.mean(found)), stable(max(found)))


def _windows(
    bins: NDArray[np.intp], bin_count: int, time_us: NDArray[np.int64], window_us: int
) -> NDArray[np.intp]:
    """Count each window's values in each bin; windows cut short or nearly empty are left out."""
    starts, window = np.unique(time_us // window_us * window_us, return_inverse=True)
    cells = np.bincount(window * bin_count + bins, minlength=len(starts) * bin_count)
    counts = cells.reshape(len(starts), bin_count)
    slack_us = window_us // 10
    covered = (starts >= time_us.min() - slack_us) & (starts + window_us <= time_us.max() + slack_us)
    compared: NDArray[np.intp] = counts[covered & (counts.sum(axis=1) >= _LEAST_ROWS_A_WINDOW)]
    return compared


def stable(value: float | np.floating[Any]) -> float:
    """Drop the digits in which processors may differ when they add many numbers: profiles are hashed."""
    return float(f"{value:.{_DIGITS}g}")


def _feature(rows: TrainingSet, column: int) -> dict[str, Any]:
    present = rows.present[:, column]
    values = rows.values[present, column]
    found = distribution(values)
    return {
        "name": rows.names[column],
        "missing_share": stable(1 - present.mean()),
        "statuses": dict(rows.statuses[column]),
        **found,
        "variation": _variations(found["edges"], values, present, rows.time_us),
    }


def most_missing(present: NDArray[np.bool_], time_us: NDArray[np.int64], window_us: int) -> float:
    """Return the greatest share of rows without a value, over the windows that `variation` would compare."""
    counts = _windows(present.astype(np.intp), 2, time_us, window_us)
    return stable((counts[:, 0] / counts.sum(axis=1)).max(initial=0.0))


def _variations(
    edges: ArrayLike, values: NDArray[np.float32], present: NDArray[np.bool_], time_us: NDArray[np.int64]
) -> list[dict[str, Any]]:
    if not len(values):
        return []
    cut = np.asarray(edges, np.float64)
    bins = np.searchsorted(cut, values.astype(np.float64), side="left")
    measured = {length: variation(bins, len(cut) + 1, time_us[present], length) for length in _WINDOWS_US}
    return [
        {
            "window_us": length,
            "windows": one.windows,
            "mean_psi": one.mean_psi,
            "max_psi": one.max_psi,
            "max_missing_share": most_missing(present, time_us, length),
        }
        for length, one in measured.items()
    ]


def _cuts(values: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    at = np.quantile(values, _PERCENTILES, method="lower")
    if not tolerance:
        return at
    distinct = np.append(np.unique(values), np.inf)
    following = distinct[np.searchsorted(distinct, at, side="right")]
    return at + np.minimum((following - at) / 2, tolerance * np.maximum(1.0, np.abs(at)))


def _counted(prefix: str, edges: NDArray[np.float64], values: NDArray[np.float64]) -> dict[str, Any]:
    bins = np.searchsorted(edges, values, side="left")
    counts = np.bincount(bins, minlength=len(edges) + 1)
    return {f"{prefix}edges": edges.tolist(), f"{prefix}counts": counts.tolist()}


def _categories(column: NDArray[Any]) -> dict[str, int]:
    told = np.array([str(category) for category in column if category not in {None, ""}], dtype=object)
    names, counts = np.unique(told.astype(str), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}
