"""Labelled examples of a period: what was asked, and what came of it, as far as it was known by the cut."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from feature_store import EventBatch, ModelSpec, Requests
from numpy.typing import NDArray

from training_sets.errors import NoLabelledRows, NotBinary, UnfitLabel


@dataclass(frozen=True, slots=True)
class Period:
    """Requests from `from_us` (the first there is when None) up to, not including, the cut `until_us`."""

    from_us: int | None
    until_us: int

    def holds(self, time_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which times lie in it."""
        return (time_us < self.until_us) & (True if self.from_us is None else time_us >= self.from_us)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRequests:
    """Requests with their outcomes, by time, then key: the same whatever the order of the events was.

    Attributes:
        requests: What was asked.
        keys: By which each outcome found its request.
        labels: float64[n], finite: 0 or 1; of many classes their numbers; of a regression any.
        known_us: When each label became known, int64[n].
    """

    requests: Requests
    keys: NDArray[Any]
    labels: NDArray[np.float64]
    known_us: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.bool_]) -> "LabelledRequests":
        """Those of some rows."""
        return LabelledRequests(
            self.requests.take(rows), self.keys[rows], self.labels[rows], self.known_us[rows]
        )


def label_examples(
    spec: ModelSpec, examples: EventBatch, outcomes: EventBatch, period: Period
) -> LabelledRequests:
    """Make the requests of a period and give each its label.

    Where several events tell of one key (a duplicate, a correction), the one recorded last counts, for what
    was asked as for what came of it.

    Args:
        spec: Whose examples and label these are.
        examples: Events of the examples' source, recorded by the cut.
        outcomes: Events of the label's source, recorded by the cut.
        period: Of the requests.

    Raises:
        NoLabelledRows: the period has no request whose label was known by the cut.
        NotBinary: a label of a model of two classes is neither 0 nor 1.
        UnfitLabel: a label is no number of a class, or not finite.
    """
    made = spec.examples.of(examples, spec.label.request_key)
    latest = _latest(made.request_keys, _order(examples, made.rows))
    rows = np.array([row for row in latest.values() if period.holds(made.requests.time_us[row])], np.int64)
    told = _tell(spec, outcomes)
    rows = np.array([row for row in rows if made.request_keys[row] in told], np.int64)
    if not len(rows):
        raise NoLabelledRows(_why_none(spec, len(latest), len(told)))
    rows = rows[np.lexsort((made.request_keys[rows].astype(str), made.requests.time_us[rows]))]
    labels, known_us = zip(*(told[key] for key in made.request_keys[rows]), strict=True)
    return LabelledRequests(
        made.requests.take(rows),
        made.request_keys[rows],
        np.array(labels, np.float64),
        np.array(known_us, np.int64),
    )


def _tell(spec: ModelSpec, batch: EventBatch) -> dict[str, tuple[float, int]]:
    """By request key, the label's value recorded last and when that was."""
    outcomes = spec.label.outcomes(batch)
    _refuse_strange(spec, outcomes.values)
    latest = _latest(outcomes.request_keys, _order(batch, outcomes.rows))
    recorded_us = batch.recorded_time_us[outcomes.rows]
    return {key: (float(outcomes.values[row]), int(recorded_us[row])) for key, row in latest.items()}


def _refuse_strange(spec: ModelSpec, values: NDArray[np.float64]) -> None:
    name = f"label {spec.label.name!r} has the value"
    if spec.task == "multiclass":
        strange = values[~np.isin(values, np.arange(len(spec.classes)))]
        if len(strange):
            raise UnfitLabel(
                f"{name} {strange[0]:g}: model {spec.name!r} has {len(spec.classes)} classes, numbered from "
                "0; write value=category(field(...), [...]) with its classes, and when=... for events of none"
            )
    elif spec.task == "binary":
        strange = values[(values != 0) & (values != 1)]
        if len(strange):
            raise NotBinary(
                f"{name} {strange[0]}: this trains classifiers of two classes; write a condition, such as "
                "value=field(...) >= 15, or say in the ModelSpec which task it is"
            )
    elif not np.isfinite(values).all():
        raise UnfitLabel(f"{name} infinity: write when=... to leave such events out")


def _order(batch: EventBatch, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows by recorded time; ties by what the event says, for partitions are no order."""
    return np.lexsort((batch.ids[rows].astype(str), batch.event_time_us[rows], batch.recorded_time_us[rows]))


def _latest(keys: NDArray[Any], order: NDArray[np.int64]) -> dict[str, int]:
    """Of each key the last row in an order; an event without a key is no example."""
    return {keys[row]: int(row) for row in order if keys[row]}


def _why_none(spec: ModelSpec, examples: int, labels: int) -> str:
    if not examples:
        return (
            f"model {spec.name!r}: the events of {spec.examples.source.topic} make no example; "
            "check TrainingExamples(time=..., request_key=...)"
        )
    return (
        f"model {spec.name!r}: of {examples} examples and {labels} labels {spec.label.name!r} known by "
        "--until, no example of the period has a label; choose an earlier --from or a later --until"
    )
