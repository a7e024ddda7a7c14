"""What held-out requests say of a version, and of the champion on the same requests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from training_sets.examples import LabelledRequests

from trainer.domain.measures import Answers, Measures

LEAST_ROWS: Final = 50
_WEEK_US: Final = 7 * 86_400_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Quality on a part of the held-out requests.

    Attributes:
        scope: "overall", "slice" or "window".
        part: Such as "carrier=UA", or "2013-06-06/2013-06-13" of a week; empty overall.
        metrics: By name; one that is undefined is left out.
        champion_metrics: Of the champion on the same requests; empty without one.
    """

    scope: str
    part: str
    rows: int
    metrics: Mapping[str, float]
    champion_metrics: Mapping[str, float] = field(default_factory=dict)


def evaluate(labels: NDArray[np.float64], answers: Answers, *, measures: Measures) -> dict[str, float]:
    """Metrics of answers that were given without knowing these labels; one that is undefined is left out.

    The names begin with `holdout_`, for that is what they are about.
    """
    metrics = {
        **metrics_of(labels, answers, measures=measures),
        **measures.about(labels),
        "rows": float(len(labels)),
    }
    return {f"holdout_{name}": value for name, value in metrics.items()}


def metrics_of(labels: NDArray[np.float64], answers: Answers, *, measures: Measures) -> dict[str, float]:
    """The task's metrics; one that is undefined is left out."""
    return {name: value for name, value in measures.metrics(labels, answers).items() if value is not None}


def evaluate_parts(
    held_out: LabelledRequests,
    answers: Answers,
    champion_answers: Answers | None,
    *,
    slices: Sequence[str],
    measures: Measures,
) -> list[Evaluation]:
    """Evaluate overall, by slice and by week of request time; parts of fewer than 50 requests are left out.

    Args:
        held_out: The requests, with their labels.
        answers: Of a model that had not seen them.
        champion_answers: Of the champion, row by row with them; None where there is none to compare with.
        slices: Entities or inputs to slice by.
        measures: Of the task.
    """
    found: list[Evaluation] = []
    for scope, part, rows in _parts(held_out, slices):
        labels = held_out.labels[rows]
        theirs = {}
        if champion_answers is not None:
            theirs = metrics_of(labels, champion_answers[rows], measures=measures)
        ours = metrics_of(labels, answers[rows], measures=measures)
        found.append(Evaluation(scope, part, len(labels), ours, theirs))
    return found


def _parts(held_out: LabelledRequests, slices: Sequence[str]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    yield "overall", "", np.ones(len(held_out), np.bool_)
    for name in slices:
        column = _column(held_out, name)
        for value in sorted({str(one) for one in column if one is not None}):
            yield from _large_enough("slice", f"{name}={value}", column.astype(str) == value)
    weeks = held_out.requests.time_us // _WEEK_US
    for week in np.unique(weeks).tolist():
        dates = f"{_date(week * _WEEK_US)}/{_date((week + 1) * _WEEK_US)}"
        yield from _large_enough("window", dates, weeks == week)


def _large_enough(
    scope: str, part: str, rows: NDArray[np.bool_]
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    if rows.sum() >= LEAST_ROWS:
        yield scope, part, rows


def _column(held_out: LabelledRequests, name: str) -> NDArray[Any]:
    requests = held_out.requests
    return requests.entities[name] if name in requests.entities else requests.context[name]


def _date(time_us: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=time_us):%Y-%m-%d}"
