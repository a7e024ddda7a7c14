"""Counts of requests: whole numbers only, so that shares of a grain add up the same in any order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from drift_detector.domain.facts import Answered
    from drift_detector.domain.references import Reference

    Counts = NDArray[np.int64]

_PRESENT: Final = 1
_NONE: Final = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class InputSketch:
    """What requests looked like.

    Attributes:
        rows: Requests answered.
        champion_rows: Of those, answered as champion.
        profiled: Of those, counted against the reference.
        bins: Values by fine bin, all features' and then the scores', as `Reference.starts` says; empty
            without a reference, as the next two.
        missing: By feature, rows without a value.
        outside: By feature, values further beyond the training set's extremes than these are apart.
        unseen: By slice, rows with a category that training never saw.
    """

    rows: int = 0
    champion_rows: int = 0
    profiled: int = 0
    bins: Counts = field(default_factory=lambda: _NONE)
    missing: Counts = field(default_factory=lambda: _NONE)
    outside: Counts = field(default_factory=lambda: _NONE)
    unseen: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: InputSketch) -> InputSketch:
        return InputSketch(
            self.rows + other.rows,
            self.champion_rows + other.champion_rows,
            self.profiled + other.profiled,
            _sum(self.bins, other.bins),
            _sum(self.missing, other.missing),
            _sum(self.outside, other.outside),
            {
                name: self.unseen.get(name, 0) + other.unseen.get(name, 0)
                for name in sorted({*self.unseen, *other.unseen})
            },
        )


def sketch_of(answers: Sequence[Answered], reference: Reference | None) -> InputSketch:
    """Count requests that one version answered.

    A vector of another length than the reference's is counted as a row and not profiled.
    """
    rows, champions = len(answers), sum(answer.is_champion for answer in answers)
    width = 0 if reference is None else len(reference.names)
    fitting = [one for one in answers if len(one.values) == 4 * width and len(one.statuses) == width]
    if reference is None or not fitting:
        return InputSketch(rows, champions)
    # A vector that the caller gave comes without entities: nobody knows their category.
    named = [one for one in fitting if one.entities]
    unseen = {
        name: sum((one.entities.get(name) or "") not in seen for one in named)
        for name, seen in reference.seen.items()
    }
    return InputSketch(rows, champions, len(fitting), *_profiled(fitting, reference), unseen)


def _profiled(answers: Sequence[Answered], reference: Reference) -> tuple[Counts, Counts, Counts]:
    shape = len(answers), len(reference.names)
    values = np.frombuffer(b"".join(one.values for one in answers), "<f4").reshape(shape).astype(np.float64)
    statuses = np.frombuffer(b"".join(one.statuses for one in answers), np.uint8).reshape(shape)
    present = (statuses == _PRESENT) & np.isfinite(values)
    bins = np.zeros(int(reference.starts[-1]), np.int64)
    outside = np.zeros(shape[1], np.int64)
    for at, column in enumerate(reference.columns):
        if column is None:
            continue
        found = values[present[:, at], at]
        bins[reference.starts[at] : reference.starts[at + 1]] = column.count(found)
        if column.minimum is not None and column.maximum is not None:
            # A season goes beyond the extremes of the one before; what goes beyond by as much again as all of
            # training spanned is in another unit, or a sensor's way of saying nothing.
            span = column.maximum - column.minimum
            outside[at] = np.count_nonzero((found < column.minimum - span) | (found > column.maximum + span))
    scores = np.array([one.score for one in answers], np.float64)
    bins[reference.starts[-2] :] = reference.profile.prediction.count(scores)
    return bins, shape[0] - present.sum(axis=0, dtype=np.int64), outside


def _sum(one: Counts, other: Counts) -> Counts:
    """Add counts; a sketch made before the reference was known has none."""
    if not len(one):
        return other
    return one + other if len(other) else one
