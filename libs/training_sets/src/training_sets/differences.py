"""What distinguishes two training sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training_sets.manifests import Manifest
from training_sets.shelf import KEY, LABEL


@dataclass(frozen=True, slots=True)
class SourceChange:
    """How much of a topic's events each of the two saw."""

    topic: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class FeatureChange:
    """Rows of both in which a feature differs.

    Attributes:
        rows: How many.
        largest: The largest difference in size.
    """

    feature: str
    rows: int
    largest: float


@dataclass(frozen=True, slots=True)
class Difference:
    """From one training set to another.

    Attributes:
        definitions: What the definitions differ in: "contract", "label, examples or period", or nothing.
        features_added: Names only the second has; `features_removed` only the first.
        rows_added: Request keys only the second has; `rows_removed` only the first.
        rows_kept: Request keys of both.
        labels_changed: Rows of both with another label.
        features_changed: The most often changed first.
    """

    definitions: tuple[str, ...]
    sources: tuple[SourceChange, ...]
    features_added: tuple[str, ...]
    features_removed: tuple[str, ...]
    rows_added: int
    rows_removed: int
    rows_kept: int
    labels_changed: int
    features_changed: tuple[FeatureChange, ...]

    @property
    def is_none(self) -> bool:
        """Whether they hold the same."""
        changed = self.features_added or self.features_removed or self.features_changed
        return not (changed or self.rows_added or self.rows_removed or self.labels_changed)


def compare(before: Manifest, after: Manifest, rows: tuple[pa.Table, pa.Table]) -> Difference:
    """Compare two training sets row by row, by request key.

    Args:
        before: One.
        after: The other.
        rows: Their rows.
    """
    at_before, at_after = _common(*(table.column(KEY) for table in rows))
    first, second = rows[0].take(at_before), rows[1].take(at_after)
    shared = [name for name in before.features if name in after.features]
    changes = [_change(name, first.column(name), second.column(name)) for name in shared]
    changed = sorted((one for one in changes if one.rows), key=lambda one: (-one.rows, one.feature))
    return Difference(
        definitions=_definitions(before, after),
        sources=_sources(before.sources, after.sources),
        features_added=tuple(name for name in after.features if name not in before.features),
        features_removed=tuple(name for name in before.features if name not in after.features),
        rows_added=len(rows[1]) - len(second),
        rows_removed=len(rows[0]) - len(first),
        rows_kept=len(first),
        labels_changed=int(np.sum(first.column(LABEL).to_numpy() != second.column(LABEL).to_numpy())),
        features_changed=tuple(changed),
    )


def _common(before: pa.ChunkedArray, after: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Return the places of the keys of both, in the order of the first."""
    place = pc.index_in(before, after.combine_chunks())
    known = pc.is_valid(place)
    return pa.array(np.flatnonzero(known.to_numpy(zero_copy_only=False))), pc.drop_null(place)


def _change(name: str, before: pa.ChunkedArray, after: pa.ChunkedArray) -> FeatureChange:
    difference = np.abs(before.to_numpy().astype(np.float64) - after.to_numpy().astype(np.float64))
    return FeatureChange(name, int(np.count_nonzero(difference)), float(difference.max(initial=0.0)))


def _definitions(before: Manifest, after: Manifest) -> tuple[str, ...]:
    if before.definition == after.definition:
        return ()
    return ("label, examples or period",) if before.contract == after.contract else ("contract",)


def _sources(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[SourceChange, ...]:
    topics = sorted({*before, *after})
    counts = [
        (topic, before[topic].rows if topic in before else 0, after[topic].rows if topic in after else 0)
        for topic in topics
    ]
    return tuple(SourceChange(*one) for one in counts if one[1] != one[2])
