"""A training set, and the one hash that says which data it is."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from feature_store import Contract, ModelSpec
from feature_store.vectors import Positions, Vectors
from model_package import canonical_json

from training_sets.examples import LabelledRequests, Period


@dataclass(frozen=True, slots=True)
class TableVersion:
    """Which rows of a lake table were read.

    Attributes:
        version: The table's version.
        next_offsets: By partition, the offset after the last row that was read. With the cut they name the
            same rows as the version does, also when that version can no longer be read.
        rows: How many.
    """

    version: int
    next_offsets: Mapping[int, int]
    rows: int

    def to_json(self) -> dict[str, Any]:
        """As it stands in manifests."""
        offsets = {str(partition): offset for partition, offset in sorted(self.next_offsets.items())}
        return {"version": self.version, "next_offsets": offsets, "rows": self.rows}

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        offsets = {int(partition): int(offset) for partition, offset in told["next_offsets"].items()}
        return cls(int(told["version"]), offsets, int(told["rows"]))


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Labelled requests with their vectors as of each request's own time.

    Attributes:
        labelled: The requests and labels.
        vectors: Row by row with them.
        sources: By topic, what was read.
        definition: SHA-256 of what turns events into rows, hex.
    """

    labelled: LabelledRequests
    vectors: Vectors
    sources: Mapping[str, TableVersion]
    definition: str

    def __len__(self) -> int:
        return len(self.labelled)

    def without_positions(self) -> "Dataset":
        """The same, without what each row had applied, which no training needs."""
        return replace(self, vectors=replace(self.vectors, positions=Positions(())))

    def describe(self) -> dict[str, Any]:
        """What the snapshot's hash is made of."""
        return {
            "sources": {topic: table.to_json() for topic, table in sorted(self.sources.items())},
            "definition": self.definition,
            "rows": hash_rows(self.labelled, self.vectors),
        }

    def snapshot(self) -> str:
        """The data's identity: equal where, and only where, a training would see the same; hex."""
        return hashlib.sha256(canonical_json(self.describe())).hexdigest()


def hash_definition(spec: ModelSpec, contract: Contract, period: Period) -> str:
    """SHA-256, hex, of everything that decides which rows there are and what is in them."""
    examples, label = spec.examples, spec.label
    content = {
        "contract": contract.hash.hex(),
        "label": {
            "name": label.name,
            "topic": label.source.topic,
            "request_key": label.request_key,
            "value": label.value.canonical(),
            "when": None if label.when is None else label.when.canonical(),
        },
        "examples": {
            "topic": examples.source.topic,
            "time": examples.time.canonical(),
            "entities": dict(examples.entities),
            "context": dict(examples.context),
            "request_key": examples.request_key,
        },
        "period": [period.from_us, period.until_us],
    }
    return hashlib.sha256(canonical_json(content)).hexdigest()


def hash_rows(labelled: LabelledRequests, vectors: Vectors) -> str:
    """SHA-256, hex, of every row in order: its key, times, label, values and statuses."""
    digest = hashlib.sha256(canonical_json(labelled.keys.tolist()))
    for times in (labelled.requests.time_us, labelled.known_us):
        digest.update(times.astype("<i8").tobytes())
    digest.update(labelled.labels.astype("<f8").tobytes())
    digest.update(vectors.values.astype("<f4").tobytes())
    digest.update(vectors.statuses.tobytes())
    return digest.hexdigest()
