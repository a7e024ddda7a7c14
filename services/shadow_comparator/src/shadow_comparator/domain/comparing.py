"""Champion and challenger over one window, in figures."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

import numpy as np

from shadow_comparator.domain import binary, likeness, multiclass, regression
from shadow_comparator.domain.facts import Role
from shadow_comparator.domain.measures import Pairs, Quality
from shadow_comparator.domain.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitoring import Differences

    from shadow_comparator.domain.measures import Column, Figures, Measure
    from shadow_comparator.domain.tasks import ModelRules
    from shadow_comparator.domain.windows import Answer, Contents

    Answers = Mapping[str, Answer]

_FURTHEST: Final = 1e75
"""Scores and labels further from 0 are taken as this: no sum of their squares, squared, is beyond float64."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions on the requests that both answered.

    Attributes:
        requests: Scored by the champion, as an answer or in a canary's shadow, whether or not by the
            challenger.
        paired: At least one.
        coverage: The share of `requests` whose truth is known.
        agreement: 0, as `flips`, where versions decide nothing.
        measures: What is defined for the task.
        differences: Of the task's loss, challenger less champion, over the labelled pairs.
    """

    task: Task
    champion: Quality
    challenger: Quality
    requests: int
    paired: int
    coverage: float
    agreement: float
    flips: int
    mean_absolute_difference: float
    measures: tuple[Measure, ...]
    differences: Differences


def compare(contents: Contents, rules: ModelRules) -> list[Comparison]:
    """Compare each champion of a window with each other version that scored some of its requests.

    A version's answers are all it gave, in whatever role: in a canary each of the two shadows what the other
    answered, so they meet on every request. Figures do not depend on the order in which answers and labels
    arrived.

    Args:
        contents: What is in the window.
        rules: Of the model; what cannot be the truth about one of its requests is left out.
    """
    champions = {answer.version for answer in contents.answers if answer.role is Role.CHAMPION}
    answers = _by_version(contents)
    truths = {request: value for request, value in contents.truths.items() if rules.is_outcome(value)}
    return [
        _compare((champion, challenger), answers, truths, rules)
        for champion in sorted(champions)
        for challenger in sorted(answers)
        if challenger != champion and not answers[champion].keys().isdisjoint(answers[challenger])
    ]


def _by_version(contents: Contents) -> dict[str, dict[str, Answer]]:
    answers: dict[str, dict[str, Answer]] = defaultdict(dict)
    for answer in contents.answers:
        answers[answer.version][answer.prediction_id] = answer
    return answers


def _compare(
    versions: tuple[str, str],
    answers: Mapping[str, Answers],
    truths: Mapping[str, float],
    rules: ModelRules,
) -> Comparison:
    ours = answers[versions[0]]
    pairs = _pairs(ours, answers[versions[1]], truths)
    found = _figures(pairs, rules)
    champion, challenger = _qualities(versions, pairs, found, rules)
    return Comparison(
        task=rules.task,
        champion=champion,
        challenger=challenger,
        requests=len(ours),
        paired=pairs.ours.size,
        coverage=len(ours.keys() & truths.keys()) / len(ours),
        agreement=found.agreement,
        flips=found.flips,
        mean_absolute_difference=float(np.abs(pairs.ours - pairs.theirs).mean()),
        measures=tuple(measure for measure in found.measures if measure.is_defined),
        differences=found.differences,
    )


def _pairs(ours: Answers, theirs: Answers, truths: Mapping[str, float]) -> Pairs:
    # In one order whatever the order of arrival, so that floating-point means are the same bits.
    requests = sorted(ours.keys() & theirs.keys())
    return Pairs(
        ours=_column([ours[request].score for request in requests]),
        theirs=_column([theirs[request].score for request in requests]),
        our_numbers=tuple(ours[request].numbers for request in requests),
        their_numbers=tuple(theirs[request].numbers for request in requests),
        labels=_column([truths.get(request, np.nan) for request in requests]),
    )


def _column(values: Sequence[float]) -> Column:
    return np.clip(np.array(values, np.float64), -_FURTHEST, _FURTHEST)


def _figures(pairs: Pairs, rules: ModelRules) -> Figures:
    match rules.task:
        case Task.BINARY:
            return binary.figures(pairs, rules)
        case Task.MULTICLASS:
            return multiclass.figures(pairs, rules)
        case Task.REGRESSION:
            return regression.figures(pairs)
        case Task.RANKING:
            return likeness.of_rankings(pairs)
        case Task.EMBEDDING:
            return likeness.of_embeddings(pairs)
        case _:
            assert_never(rules.task)


def _qualities(
    versions: tuple[str, str], pairs: Pairs, found: Figures, rules: ModelRules
) -> tuple[Quality, Quality]:
    champion, challenger = versions
    if rules.task is not Task.BINARY:
        return Quality(champion, found.labelled), Quality(challenger, found.labelled)
    labels = pairs.labels[pairs.labelled]
    return (
        binary.quality(champion, labels, pairs.ours[pairs.labelled], rules.threshold),
        binary.quality(challenger, labels, pairs.theirs[pairs.labelled], rules.threshold),
    )
