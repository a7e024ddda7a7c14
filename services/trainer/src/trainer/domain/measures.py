"""What versions of each task are measured by, on requests that they had not seen.

A model's *answers* are, row by row: the probability of the positive class, float64[n]; the probabilities of
every class, float64[n, classes]; or the value of a regression, float64[n].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import monitoring
import numpy as np
from numpy.typing import NDArray

Answers = NDArray[np.float64]


class Measures(Protocol):
    """How good answers are.

    Attributes:
        loss_name: What `loss` is, in words.
        knows_nothing: Whose answers `baseline` are, in words.
    """

    @property
    def loss_name(self) -> str:
        """See above."""

    @property
    def knows_nothing(self) -> str:
        """See above."""

    def metrics(self, labels: NDArray[np.float64], answers: Answers) -> dict[str, float | None]:
        """Figures by name; None where one is undefined."""

    def loss(self, labels: NDArray[np.float64], answers: Answers) -> float | None:
        """The one figure that versions are compared by, smaller is better; None without rows."""

    def baseline(self, labels: NDArray[np.float64]) -> Answers:
        """The answers of somebody who knows no more than how these labels are distributed."""

    def about(self, labels: NDArray[np.float64]) -> Mapping[str, float]:
        """What is told of the labels themselves."""

    def scores(self, answers: Answers) -> NDArray[np.float64]:
        """What of the answers is the score, as `ScoreResponse.score` says."""


@dataclass(frozen=True, slots=True)
class BinaryMeasures:
    """Of a classifier of two classes.

    Attributes:
        threshold: At which the positive class is decided.
    """

    threshold: float
    loss_name: str = "log loss"
    knows_nothing: str = "the base rate alone"

    def metrics(self, labels: NDArray[np.float64], answers: Answers) -> dict[str, float | None]:
        """ROC AUC, log loss (nats), Brier score and accuracy."""
        return {
            "roc_auc": monitoring.roc_auc(labels, answers),
            "log_loss": monitoring.log_loss(labels, answers),
            "brier": monitoring.brier(labels, answers),
            "accuracy": monitoring.accuracy(labels, answers, self.threshold),
        }

    def loss(self, labels: NDArray[np.float64], answers: Answers) -> float | None:
        """See `Measures`."""
        return monitoring.log_loss(labels, answers)

    def baseline(self, labels: NDArray[np.float64]) -> Answers:
        """See `Measures`."""
        return np.full(len(labels), labels.mean())

    def about(self, labels: NDArray[np.float64]) -> Mapping[str, float]:
        """See `Measures`."""
        return {"base_rate": float(labels.mean())}

    def scores(self, answers: Answers) -> NDArray[np.float64]:
        """See `Measures`."""
        return answers


@dataclass(frozen=True, slots=True)
class MulticlassMeasures:
    """Of a classifier of many classes.

    Attributes:
        classes: How many there are.
    """

    classes: int
    loss_name: str = "log loss"
    knows_nothing: str = "the classes' shares alone"

    def metrics(self, labels: NDArray[np.float64], answers: Answers) -> dict[str, float | None]:
        """Log loss (nats) and accuracy."""
        return {
            "log_loss": monitoring.class_log_loss(labels, answers),
            "accuracy": monitoring.class_accuracy(labels, answers),
        }

    def loss(self, labels: NDArray[np.float64], answers: Answers) -> float | None:
        """See `Measures`."""
        return monitoring.class_log_loss(labels, answers)

    def baseline(self, labels: NDArray[np.float64]) -> Answers:
        """See `Measures`."""
        counts = np.bincount(labels.astype(np.int64), minlength=self.classes)
        return np.tile(counts / len(labels), (len(labels), 1))

    def about(self, labels: NDArray[np.float64]) -> Mapping[str, float]:
        """See `Measures`."""
        counts = np.bincount(labels.astype(np.int64), minlength=self.classes)
        return {"commonest_class_share": float(counts.max() / len(labels))}

    def scores(self, answers: Answers) -> NDArray[np.float64]:
        """See `Measures`."""
        return np.asarray(answers.max(axis=1))


@dataclass(frozen=True, slots=True)
class RegressionMeasures:
    """Of a regression."""

    loss_name: str = "root mean squared error"
    knows_nothing: str = "the mean alone"

    def metrics(self, labels: NDArray[np.float64], answers: Answers) -> dict[str, float | None]:
        """Root mean squared and mean absolute error and bias, in the label's unit, and R squared."""
        return {
            "rmse": monitoring.root_mean_squared_error(labels, answers),
            "mae": monitoring.mean_absolute_error(labels, answers),
            "bias": monitoring.bias(labels, answers),
            "r_squared": monitoring.r_squared(labels, answers),
        }

    def loss(self, labels: NDArray[np.float64], answers: Answers) -> float | None:
        """See `Measures`."""
        return monitoring.root_mean_squared_error(labels, answers)

    def baseline(self, labels: NDArray[np.float64]) -> Answers:
        """See `Measures`."""
        return np.full(len(labels), labels.mean())

    def about(self, labels: NDArray[np.float64]) -> Mapping[str, float]:
        """See `Measures`."""
        return {"label_mean": float(labels.mean())}

    def scores(self, answers: Answers) -> NDArray[np.float64]:
        """See `Measures`."""
        return answers
