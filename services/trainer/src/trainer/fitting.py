"""Fitting: the user's training function, called so that the same rows give the same model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from feature_store import ModelSpec
from feature_store.definitions import TrainFunction
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from training_sets.datasets import Dataset

from trainer.domain.errors import UnknownAlgorithm
from trainer.domain.evaluation import evaluate
from trainer.domain.measures import Answers
from trainer.domain.split import Split, require_two_classes, split_by_time
from trainer.tasks import answers_of, measures_of


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What fits, by the name it goes by in versions."""

    name: str
    train: TrainFunction
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A model fitted on every row, and what is known of it from rows it had not seen when they were scored.

    Attributes:
        model: The classifier or regressor, fitted on the whole dataset.
        metrics: Of the same algorithm fitted on the earlier part, on the later part.
        holdout_answers: Its answers there.
        holdout_scores: The scores that they are.
        answers: The model's own, on every row.
        scores: The scores that they are.
        parameters: The model's, as JSON has them.
    """

    model: Any
    metrics: Mapping[str, float]
    holdout_answers: Answers
    holdout_scores: NDArray[np.float64]
    answers: Answers
    scores: NDArray[np.float64]
    parameters: Mapping[str, Any]


def choose_algorithm(spec: ModelSpec, name: str | None, seed: int | None) -> Algorithm:
    """The algorithm asked for; the champion's, with the model's own seed, when nothing is asked.

    Raises:
        UnknownAlgorithm: the model has no such algorithm.
    """
    chosen = name or spec.algorithm
    if chosen not in spec.algorithms:
        raise UnknownAlgorithm(
            f"model {spec.name!r} has no algorithm {chosen!r}; it has {', '.join(spec.algorithms)}"
        )
    return Algorithm(chosen, spec.algorithms[chosen], spec.seed if seed is None else seed)


def fit(dataset: Dataset, algorithm: Algorithm, spec: ModelSpec) -> Fitted:
    """Measure the algorithm on the latest fifth of the time, then fit it on everything.

    What is released has seen the latest rows, for they are the most like those it will be asked about; what
    is claimed of it was measured on rows that its twin had not seen.

    Raises:
        TrainingError: the dataset does not allow it, or the function returned no model of the spec's task.
    """
    measures = measures_of(spec)
    labels, values = dataset.labelled.labels, dataset.vectors.values
    require_two_classes(labels, "the training set")
    split = split_by_time(dataset.labelled)
    # Sums over threads are added in no fixed order.
    with threadpool_limits(limits=1):
        twin = _train_twin(values, labels, split, algorithm)
        held_out = answers_of(twin, values[split.holdout], spec)
        model = algorithm.train(values, labels, algorithm.seed)
        answers = answers_of(model, values, spec)
    return Fitted(
        model,
        evaluate(labels[split.holdout], held_out, measures=measures),
        held_out,
        measures.scores(held_out),
        answers,
        measures.scores(answers),
        parameters_of(model),
    )


def _train_twin(
    values: NDArray[np.float32], labels: NDArray[np.float64], split: Split, algorithm: Algorithm
) -> Any:
    return algorithm.train(values[split.training], labels[split.training], algorithm.seed)


def parameters_of(model: Any) -> dict[str, Any]:
    """A model's parameters that are plain values; others, such as a pipeline's steps, as text."""
    return {
        name: value if isinstance(value, str | int | bool | None) or _is_finite(value) else repr(value)
        for name, value in sorted(model.get_params(deep=True).items())
    }


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and bool(np.isfinite(value))
