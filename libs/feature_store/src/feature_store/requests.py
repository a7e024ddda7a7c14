"""Scoring requests as columns: what serving assembles vectors for, and what training asks of the past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from feature_store.expressions import AS_OF, EntityKey
from feature_store.keys import joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from feature_store.definitions.sources import Entity


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """Many requests.

    Attributes:
        time_us: The event time of each: the `as of` of its features.
        entities: Keys by entity, or by part of its key, object arrays; a None or empty one has no row.
        context: Input name to a column, laid out as its `FieldType` says.
    """

    time_us: NDArray[np.int64]
    entities: Mapping[str, NDArray[Any]]
    context: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.time_us)

    def keys_of(self, entity: Entity) -> NDArray[Any]:
        """Return the keys of an entity, object[n]; None or empty where a request has none."""
        if not entity.keys:
            return self.entities[entity.name]
        columns = self.named(entity.parts)
        return joined([part.evaluate(columns, len(self)) for part in entity.key])

    def named(self, entity_keys: Iterable[str]) -> Mapping[str, NDArray[Any]]:
        """Return what expressions read of the requests, by name: inputs, time, and some entity keys."""
        keys = {EntityKey(name).name: _not_empty(self.entities[name]) for name in entity_keys}
        return {**self.context, AS_OF: self.time_us, **keys}

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Requests:
        """Return the requests at these rows: a mask or indices."""
        return Requests(
            self.time_us[rows],
            {name: keys[rows] for name, keys in self.entities.items()},
            {name: column[rows] for name, column in self.context.items()},
        )


def _not_empty(keys: NDArray[Any]) -> NDArray[Any]:
    """Return keys of which none is empty: protobuf has no null text, and an event of the past has."""
    keys = keys.copy()
    keys[keys == ""] = None
    return keys
