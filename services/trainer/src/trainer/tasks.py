"""What each task asks of a training: what a fitted model answers, how that is measured and packaged."""

from typing import Any, Final

import numpy as np
from feature_store import ModelSpec
from model_package import DeclaredSignature, Scorer, ScoreSource
from numpy.typing import NDArray

from trainer.domain.errors import NoMeasures, NotAClassifier, NotARegressor
from trainer.domain.measures import Answers, BinaryMeasures, Measures, MulticlassMeasures, RegressionMeasures

# What skl2onnx calls them.
_PROBABILITIES: Final = "probabilities"
_VALUE: Final = "variable"


def measures_of(spec: ModelSpec) -> Measures:
    """How good answers of a model's task are.

    Raises:
        NoMeasures: Nothing here can say.
    """
    match spec.task:
        case "binary":
            return BinaryMeasures(spec.decision_threshold)
        case "multiclass":
            return MulticlassMeasures(len(spec.classes))
        case "regression":
            return RegressionMeasures()
        case _:
            raise NoMeasures(
                f"model {spec.name!r} is of task {spec.task!r}, which this does not train: train it "
                "elsewhere and package it with model_package.write_package"
            )


def signature_of(spec: ModelSpec) -> DeclaredSignature | None:
    """What the manifest says of the graph; None for two classes, which need no signature."""
    match spec.task:
        case "multiclass":
            source = ScoreSource(output=_PROBABILITIES)
            return DeclaredSignature(
                task="multiclass", score=source, classes=tuple(spec.classes), outputs=(_PROBABILITIES,)
            )
        case "regression":
            return DeclaredSignature(task="regression", score=ScoreSource(output=_VALUE))
        case _:
            return None


def answers_of(model: Any, values: NDArray[np.float32], spec: ModelSpec) -> Answers:
    """What a fitted model answers, by scikit-learn: see `trainer.domain.measures`.

    Raises:
        NotAClassifier: It gives no probabilities, or of other classes than the task has.
        NotARegressor: It gives no numbers.
    """
    if spec.task == "regression":
        return _predictions(model, values)
    rows = _probabilities(model, values, 2 if spec.task == "binary" else len(spec.classes))
    return rows[:, 1] if spec.task == "binary" else rows


def answers_found(scorer: Scorer, vectors: NDArray[np.float32]) -> Answers:
    """What a packaged version answers, in the same form.

    Raises:
        PackageError: It cannot answer them.
    """
    if scorer.signature.task != "multiclass":
        return scorer.score(vectors)
    return scorer.run(vectors).named[_PROBABILITIES].astype(np.float64)


def _probabilities(model: Any, values: NDArray[np.float32], classes: int) -> NDArray[np.float64]:
    found = getattr(model, "classes_", None)
    if not hasattr(model, "predict_proba") or found is None or list(found) != list(range(classes)):
        raise NotAClassifier(
            f"the training function returned {type(model).__name__} with classes {found} where the labels "
            f"have {classes}: return a fitted scikit-learn classifier with predict_proba, fitted on the "
            "labels as they were given, each of which must be among those that were known before the holdout"
        )
    rows: NDArray[np.float64] = model.predict_proba(values).astype(np.float64)
    return rows


def _predictions(model: Any, values: NDArray[np.float32]) -> NDArray[np.float64]:
    if not hasattr(model, "predict") or hasattr(model, "predict_proba"):
        raise NotARegressor(
            f"the training function returned {type(model).__name__}: return a fitted scikit-learn regressor"
        )
    found = np.asarray(model.predict(values), np.float64)
    if found.shape not in {(len(values),), (len(values), 1)}:
        raise NotARegressor(
            f"{type(model).__name__} predicts with shape {found.shape} for {len(values)} rows: one number a "
            "row is wanted"
        )
    return found.reshape(len(values))
