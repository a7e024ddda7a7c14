"""What a holdout says of a model."""

import monitoring
import numpy as np
from numpy.typing import NDArray


def evaluate(
    labels: NDArray[np.float64], scores: NDArray[np.float64], *, threshold: float
) -> dict[str, float]:
    """Metrics of scores that were given without knowing these labels; one that is undefined is left out.

    The names begin with `holdout_`, for that is what they are about.
    """
    metrics = {
        "roc_auc": monitoring.roc_auc(labels, scores),
        "log_loss": monitoring.log_loss(labels, scores),
        "brier": monitoring.brier(labels, scores),
        "accuracy": monitoring.accuracy(labels, scores, threshold),
        "base_rate": float(labels.mean()),
        "rows": float(len(labels)),
    }
    return {f"holdout_{name}": value for name, value in metrics.items() if value is not None}
