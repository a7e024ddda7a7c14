"""The reference profile: what the training set looked like, for later data to be compared with."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from feature_store.vectors import Status, Vectors
from numpy.typing import NDArray

FORMAT_VERSION: Final = 1
_QUANTILES: Final = np.arange(1, 10) / 10
_DIGITS: Final = 9


def reference_profile(
    names: Sequence[str], vectors: Vectors, labels: NDArray[np.float64], holdout_scores: NDArray[np.float64]
) -> dict[str, Any]:
    """Profile a training set.

    A feature's figures are of the values that were there; how many were not, and why, stands beside them.
    Bins are cut at the deciles: `edges` are inner, the outer bins are open, and bin i holds the values
    above edges[i-1] up to and including edges[i]. The prediction's figures are of scores on the holdout, by
    the model fitted without it: a model is surer of the rows it has learned than of any it will be asked
    about.

    Args:
        names: The features, in the vectors' order.
        vectors: The rows the model was trained on.
        labels: Theirs.
        holdout_scores: What the prediction profile is made of.
    """
    present = vectors.statuses == Status.PRESENT
    return {
        "format_version": FORMAT_VERSION,
        "rows": len(vectors),
        "label": {"rate": stable(labels.mean()), "rows": len(labels)},
        "prediction": {**distribution(holdout_scores), "of": "holdout"},
        "features": [
            {
                "name": name,
                "missing_share": stable(1 - present[:, column].mean()),
                "statuses": _statuses(vectors.statuses[:, column]),
                **distribution(vectors.values[present[:, column], column]),
            }
            for column, name in enumerate(names)
        ],
    }


def distribution(values: NDArray[Any]) -> dict[str, Any]:
    """Deciles, counts and moments; moments are null where there is no value."""
    if not len(values):
        return {"edges": [], "counts": [0], "mean": None, "std": None, "min": None, "max": None}
    exact = values.astype(np.float64)
    edges = np.unique(np.quantile(exact, _QUANTILES, method="lower"))
    bins = np.searchsorted(edges, exact, side="left")
    return {
        "edges": edges.tolist(),
        "counts": np.bincount(bins, minlength=len(edges) + 1).tolist(),
        "mean": stable(exact.mean()),
        "std": stable(exact.std()),
        "min": float(exact.min()),
        "max": float(exact.max()),
    }


def stable(value: float) -> float:
    """Drop the digits in which processors may differ when they add many numbers: profiles are hashed."""
    return float(f"{value:.{_DIGITS}g}")


def _statuses(statuses: NDArray[np.uint8]) -> dict[str, int]:
    return {status.name: int((statuses == status).sum()) for status in Status}
