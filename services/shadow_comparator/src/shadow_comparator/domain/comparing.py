"""Champion and challenger over one window, in figures."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from monitoring import (
    Differences,
    accuracy,
    agreement,
    brier,
    flips,
    log_loss,
    log_losses,
    mean_absolute_difference,
    roc_auc,
)

from shadow_comparator.domain.facts import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from shadow_comparator.domain.windows import Contents

    Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Quality:
    """How well one version did on the labelled pairs; None where a metric is undefined."""

    version: str
    labelled: int
    positives: int
    roc_auc: float | None
    log_loss: float | None
    brier: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions on the requests that both answered.

    Attributes:
        requests: Scored by the champion, as an answer or in a canary's shadow, whether or not by the
            challenger.
        paired: At least one.
        coverage: The share of `requests` whose truth is known.
        differences: Of log loss, challenger less champion, over the labelled pairs.
    """

    champion: Quality
    challenger: Quality
    requests: int
    paired: int
    coverage: float
    agreement: float
    flips: int
    mean_absolute_difference: float
    differences: Differences


def compare(contents: Contents, threshold: float) -> list[Comparison]:
    """Compare each champion of a window with each other version that scored some of its requests.

    A version's scores are all it gave, in whatever role: in a canary each of the two shadows what the other
    answered, so they meet on every request. Figures do not depend on the order in which answers and labels
    arrived.

    Args:
        contents: What is in the window.
        threshold: A score at or above it decides for the positive class.
    """
    champions = {answer.version for answer in contents.answers if answer.role is Role.CHAMPION}
    scores = _by_version(contents)
    return [
        _compare(champion, scores[champion], challenger, scores[challenger], contents.truths, threshold)
        for champion in sorted(champions)
        for challenger in sorted(scores)
        if challenger != champion and not scores[champion].keys().isdisjoint(scores[challenger])
    ]


def _by_version(contents: Contents) -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for answer in contents.answers:
        scores[answer.version][answer.prediction_id] = answer.score
    return scores


def _compare(
    champion: str, ours: Scores, challenger: str, theirs: Scores, truths: Scores, threshold: float
) -> Comparison:
    # In one order whatever the order of arrival, so that floating-point means are the same bits.
    pairs = sorted(ours.keys() & theirs.keys())
    labelled = [request for request in pairs if request in truths]
    our_scores, their_scores = _column(ours, pairs), _column(theirs, pairs)
    labels, our_labelled, their_labelled = (_column(column, labelled) for column in (truths, ours, theirs))
    share, difference = (
        agreement(our_scores, their_scores, threshold),
        mean_absolute_difference(our_scores, their_scores),
    )
    assert share is not None
    assert difference is not None, "versions without a common request are not compared"
    return Comparison(
        champion=_quality(champion, labels, our_labelled, threshold),
        challenger=_quality(challenger, labels, their_labelled, threshold),
        requests=len(ours),
        paired=len(pairs),
        coverage=len(ours.keys() & truths.keys()) / len(ours),
        agreement=share,
        flips=flips(our_scores, their_scores, threshold),
        mean_absolute_difference=difference,
        differences=Differences.of(log_losses(labels, their_labelled) - log_losses(labels, our_labelled)),
    )


def _column(values: Scores, requests: list[str]) -> NDArray[np.float64]:
    return np.array([values[request] for request in requests], dtype=np.float64)


def _quality(
    version: str, labels: NDArray[np.float64], scores: NDArray[np.float64], threshold: float
) -> Quality:
    return Quality(
        version=version,
        labelled=labels.size,
        positives=int(labels.sum()),
        roc_auc=roc_auc(labels, scores),
        log_loss=log_loss(labels, scores),
        brier=brier(labels, scores),
        accuracy=accuracy(labels, scores, threshold),
    )
