"""Which past requests a model learns from: as if someone had asked about each event of a source in time."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as attribute
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_store.definitions.sensitive import refuse_dropped
from feature_store.definitions.typing import type_over_events
from feature_store.errors import DefinitionError, Location, caller, did_you_mean
from feature_store.expressions import NULL_TIME_US, FieldType
from feature_store.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from feature_store.definitions.sources import Source
    from feature_store.events import EventBatch
    from feature_store.expressions import Expression


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Requests made from a batch of events, with the event each comes from and the key its outcome names."""

    requests: Requests
    rows: NDArray[np.int64]
    request_keys: NDArray[Any]


@dataclass(frozen=True, eq=False)
class TrainingExamples:
    """Requests made from a source's events.

    Attributes:
        source: The events; each is one example.
        time: When the request is made, over the event's fields; an event for which it is null is no example.
        entities: Entity name to the field with its key.
        context: Input name to the field with its value; it declares the model's request-time inputs.
        request_key: The field by which an outcome finds its example; the label's own when left out.
    """

    source: Source
    time: Expression
    entities: Mapping[str, str]
    context: Mapping[str, str] = attribute(default_factory=dict)
    request_key: str | None = None
    location: Location | None = attribute(default_factory=caller, repr=False)

    def __post_init__(self) -> None:
        kind = type_over_events(self.time, self.source, "TrainingExamples: time", self.location)
        if kind is not FieldType.TIME:
            raise self._error(f"time is a {kind}", "Write a time, such as field(...) - timedelta(hours=1).")
        if self.request_key is not None and self.request_key not in self.source.texts:
            problem = f"request_key: source {self.source.topic} has no text field {self.request_key!r}"
            raise self._error(problem, did_you_mean(self.request_key, self.source.texts))
        for name, field in {**self.entities, **self.context}.items():
            refuse_dropped(self.source, field, f"TrainingExamples: {name!r}", self.location)
            if field not in self.source.fields:
                problem = f"{name!r}: source {self.source.topic} has no field {field!r}"
                raise self._error(problem, did_you_mean(field, self.source.fields))
        for name, field in self.entities.items():
            if self.source.fields[field] is not FieldType.TEXT:
                problem = f"entity {name!r}: field {field!r} is a {self.source.fields[field]}"
                raise self._error(problem, "Entities are known by texts; name a text.")

    @property
    def inputs(self) -> Mapping[str, FieldType]:
        """The request-time inputs with their types."""
        return {name: self.source.fields[field] for name, field in self.context.items()}

    def of(self, batch: EventBatch, request_key: str) -> Examples:
        """Return the examples that a batch of the source's events makes, known by the field `request_key`."""
        time_us = self.time.evaluate(batch.named, len(batch))
        rows = np.flatnonzero(time_us != NULL_TIME_US)
        requests = Requests(
            time_us[rows],
            {name: batch.columns[field][rows] for name, field in self.entities.items()},
            {name: batch.columns[field][rows] for name, field in self.context.items()},
        )
        return Examples(requests, rows, batch.columns[self.request_key or request_key][rows])

    def _error(self, problem: str, instead: str) -> DefinitionError:
        return DefinitionError("TrainingExamples", problem, instead=instead, at=self.location)
