"""Labels: the truth about a request, read from a later event."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as attribute
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_store.definitions.sensitive import refuse_dropped
from feature_store.definitions.typing import type_over_events
from feature_store.errors import DefinitionError, Location, caller, did_you_mean
from feature_store.expressions import FieldType, nulls

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feature_store.definitions.sources import Source
    from feature_store.events import EventBatch
    from feature_store.expressions import Expression


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """The label's values in a batch: for each, the event's row, the request it is about, and the value."""

    rows: NDArray[np.int64]
    request_keys: NDArray[Any]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Label:
    """What a model is to foretell.

    Attributes:
        name: The label's name in outcomes.
        source: The events that tell it.
        request_key: The field with the key of the request it is about.
        value: The truth: a flag (1 or 0) or a number; an event for which it is null tells nothing.
        when: Which events tell it; every event when left out.
    """

    name: str
    source: Source
    request_key: str
    value: Expression
    when: Expression | None = None
    location: Location | None = attribute(default_factory=caller, repr=False)

    def __post_init__(self) -> None:
        refuse_dropped(self.source, self.request_key, f"{self._name}: request_key", self.location)
        if self.source.fields.get(self.request_key) is not FieldType.TEXT:
            problem = f"request_key: source {self.source.topic} has no text field {self.request_key!r}"
            raise self._error(problem, did_you_mean(self.request_key, self.source.texts))
        if self.kind not in {FieldType.FLAG, FieldType.NUMBER}:
            raise self._error(f"value is a {self.kind}", "Write a condition or a number.")
        if self.when is not None:
            kind = type_over_events(self.when, self.source, self._name, self.location)
            if kind is not FieldType.FLAG:
                raise self._error(f"when is a {kind}", "Write a condition.")

    @cached_property
    def kind(self) -> FieldType:
        """FLAG for a condition, NUMBER for a number."""
        return type_over_events(self.value, self.source, self._name, self.location)

    def outcomes(self, batch: EventBatch) -> Outcomes:
        """Return what a batch of the source's events tells; an event without a request key tells nothing."""
        n = len(batch)
        values = self.value.evaluate(batch.named, n).astype(np.float64)
        keys = batch.columns[self.request_key]
        told = ~(np.isnan(values) | nulls(FieldType.TEXT, keys))
        if self.when is not None:
            told &= self.when.evaluate(batch.named, n)
        rows = np.flatnonzero(told)
        return Outcomes(rows, keys[rows], values[rows])

    @property
    def _name(self) -> str:
        return f"Label({self.name!r})"

    def _error(self, problem: str, instead: str) -> DefinitionError:
        return DefinitionError(self._name, problem, instead=instead, at=self.location)
