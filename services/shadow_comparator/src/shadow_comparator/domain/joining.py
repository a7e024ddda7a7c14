"""The join: which answers meet which outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shadow_comparator.domain.facts import Outcome, Prediction, Resolved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(slots=True)
class Entry:
    """Facts about one request, as they arrived together.

    Attributes:
        label: With `request_key`, what the facts have in common.
    """

    label: str
    request_key: str
    predictions: list[Prediction] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Record:
    """Everything known about one request, by now.

    Of several answers with one identity, and of several outcomes with one revision, the one known first is
    kept.
    """

    predictions: tuple[Prediction, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def truth(self) -> Outcome | None:
        """The outcome of the latest revision."""
        return max(self.outcomes, key=lambda outcome: outcome.revision, default=None)


def entries_of(facts: Iterable[Prediction | Outcome]) -> list[Entry]:
    """Gather facts by the request they are about, in order of arrival."""
    found: dict[tuple[str, str], Entry] = {}
    for fact in facts:
        key = fact.label, fact.request_key
        entry = found.get(key)
        if entry is None:
            entry = found[key] = Entry(*key)
        if isinstance(fact, Prediction):
            entry.predictions.append(fact)
        else:
            entry.outcomes.append(fact)
    return list(found.values())


def newly_resolved(entry: Entry, record: Record) -> Iterator[Resolved]:
    """Yield every pair of answer and outcome of which the entry brought at least one side.

    Whoever brings the second side of a pair sees the first, so over all entries each pair is yielded at
    least once, whatever the order of arrival; a repeated entry yields its pairs again.
    """
    brought = {prediction.identity for prediction in entry.predictions}
    revisions = {outcome.revision for outcome in entry.outcomes}
    for prediction in record.predictions:
        for outcome in record.outcomes:
            if prediction.identity in brought or outcome.revision in revisions:
                yield Resolved(prediction, outcome)


def contradicted(entry: Entry, record: Record) -> list[Outcome]:
    """Return the entry's outcomes whose revision was told before, with another value."""
    told = {outcome.revision: outcome.value for outcome in record.outcomes}
    return [outcome for outcome in entry.outcomes if told[outcome.revision] != outcome.value]
