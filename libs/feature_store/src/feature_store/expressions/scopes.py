"""The names that an expression may read, and their types."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as attribute
from typing import TYPE_CHECKING, Final

from feature_store.errors import UnknownNameError, did_you_mean
from feature_store.expressions.types import FieldType

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

AS_OF: Final = "as_of()"
"""The column of the events' own times, or of the requests'; no field and no input is called so."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The names an expression may read.

    Attributes:
        fields: Of events, with their types.
        requests: Inputs of requests, with their types.
        holder: What holds them, for messages.
        features: By full name, with their types.
        entities: The names under which requests carry entities' keys.
        is_timed: Whether there is a time as of which a dimension can be asked.
    """

    fields: Mapping[str, FieldType]
    requests: Mapping[str, FieldType]
    holder: str
    features: Mapping[str, FieldType] = attribute(default_factory=dict)
    entities: Collection[str] = ()
    is_timed: bool = False

    def type_of(self, reads: str, name: str) -> FieldType:
        """Return the type of what is read.

        Args:
            reads: `field`, `request`, `feature_value`, `entity_key` or `as_of`.
            name: The name it is read by; `as_of` has none.

        Raises:
            UnknownNameError: there is no such name here.
        """
        holder = self.holder
        match reads:
            case "field":
                known = self.fields
            case "request":
                known = self.requests
            case "feature_value":
                known = self.features
            case "entity_key":
                known, holder = dict.fromkeys(self.entities, FieldType.TEXT), "TrainingExamples(entities=...)"
            case _:
                return self._time()
        kind = known.get(name)
        if kind is None:
            raise UnknownNameError(f"{reads}({name!r}) is not in {holder}", did_you_mean(name, known))
        return kind

    def _time(self) -> FieldType:
        if not self.is_timed:
            problem = (
                f"a dimension with valid_from is read as of a time, which {self.holder} does not have yet"
            )
            raise UnknownNameError(problem, "Read it in a view, a label, or a feature of the request.")
        return FieldType.TIME
