"""Scoring requests as columns: what serving assembles vectors for, and what training asks of the past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """Many requests.

    Attributes:
        time_us: The event time of each: the `as of` of its features.
        entities: Entity name to keys, object arrays; a None or empty key has no row.
        context: Input name to a column, laid out as its `FieldType` says.
    """

    time_us: NDArray[np.int64]
    entities: Mapping[str, NDArray[Any]]
    context: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.time_us)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Requests:
        """Return the requests at these rows: a mask or indices."""
        return Requests(
            self.time_us[rows],
            {name: keys[rows] for name, keys in self.entities.items()},
            {name: column[rows] for name, column in self.context.items()},
        )
