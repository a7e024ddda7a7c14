"""The reference profile of a training set: which columns go into what `monitoring.profiles` builds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from feature_store.vectors import Status, Vectors
from monitoring.profiles import TrainingSet, build_profile
from numpy.typing import NDArray
from training_sets.examples import LabelledRequests


def reference_profile(
    names: Sequence[str],
    vectors: Vectors,
    labelled: LabelledRequests,
    holdout_scores: NDArray[np.float64],
    slices: Sequence[str],
) -> dict[str, Any]:
    """Profile a training set.

    Args:
        names: The features, in the vectors' order.
        vectors: The rows the model was trained on.
        labelled: What was asked and what came of it, row by row.
        holdout_scores: What the prediction profile is made of.
        slices: Entities or inputs whose categories are counted; an input that is no text has none.
    """
    rows = TrainingSet(
        names=names,
        values=vectors.values,
        present=vectors.statuses == Status.PRESENT,
        statuses=[_statuses(column) for column in vectors.statuses.T],
        time_us=labelled.requests.time_us,
        labels=labelled.labels,
        categories=_categories(labelled, slices),
    )
    return build_profile(rows, holdout_scores)


def _categories(labelled: LabelledRequests, slices: Sequence[str]) -> dict[str, NDArray[Any]]:
    columns = {**labelled.requests.context, **labelled.requests.entities}
    return {name: columns[name] for name in slices if columns[name].dtype == object}


def _statuses(column: NDArray[np.uint8]) -> dict[str, int]:
    return {status.name: int((column == status).sum()) for status in Status}
