"""What a kept training set says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from feature_store import ModelSpec, Project

from training_sets.datasets import Dataset, TableVersion
from training_sets.errors import UnreadableTable
from training_sets.examples import Period

FORMAT_VERSION: Final = 1
_NAME_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which data a training set is.

    Attributes:
        name: `<model>-<first digits of the snapshot>`: the same inputs have the same name, for ever.
        snapshot: The data's identity, SHA-256, hex.
        definition: SHA-256 of what turns events into rows, hex.
        contract: SHA-256 of the meaning of a vector, hex.
        from_us: First request of the period; None for the first there was.
        until_us: End of the period, and the cut of what was known.
        sources: By topic, what the lake held.
        rows_hash: SHA-256 of the rows in order, hex.
        features: Names, in the order of the vector.
        base_rate: The mean label.
        created_us: By the clock of whoever built it first.
        erased: Ids of the erasures that took rows out of it: it is no longer what its hashes say.
    """

    name: str
    model: str
    snapshot: str
    definition: str
    contract: str
    from_us: int | None
    until_us: int
    sources: Mapping[str, TableVersion]
    rows: int
    rows_hash: str
    features: tuple[str, ...]
    label: str
    base_rate: float
    first_request_us: int
    last_request_us: int
    created_us: int
    code_commit: str = ""
    erased: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        project: Project,
        spec: ModelSpec,
        period: Period,
        *,
        created_us: int,
        code_commit: str = "",
    ) -> Self:
        """Describe a training set that `build` made of a project's model."""
        contract = project.contract(spec.name)
        snapshot, times_us = dataset.snapshot(), dataset.labelled.requests.time_us
        return cls(
            name=f"{spec.name}-{snapshot[:_NAME_DIGITS]}",
            model=spec.name,
            snapshot=snapshot,
            definition=dataset.definition,
            contract=contract.hash.hex(),
            from_us=period.from_us,
            until_us=period.until_us,
            sources=dict(sorted(dataset.sources.items())),
            rows=len(dataset),
            rows_hash=str(dataset.describe()["rows"]),
            features=contract.feature_names,
            label=spec.label.name,
            base_rate=float(dataset.labelled.labels.mean()),
            first_request_us=int(times_us.min()),
            last_request_us=int(times_us.max()),
            created_us=created_us,
            code_commit=code_commit,
        )

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        plain = {name: getattr(self, name) for name in _plain(self)}
        sources = {topic: table.to_json() for topic, table in self.sources.items()}
        return {
            "format_version": FORMAT_VERSION,
            **plain,
            "features": list(self.features),
            "sources": sources,
            **({"erased": list(self.erased)} if self.erased else {}),
        }

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            UnreadableTable: it is of another format version, or lacks something.
        """
        if told.get("format_version") != FORMAT_VERSION:
            raise UnreadableTable(
                f"a training set of format version {told.get('format_version')}, this reads {FORMAT_VERSION}"
            )
        try:
            plain = {name: told[name] for name in _plain(cls)}
            erased = tuple(map(str, told.get("erased", ())))
            sources = {topic: TableVersion.of_json(table) for topic, table in told["sources"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnreadableTable(f"a training set's description is damaged: {error!r}") from error
        return cls(**plain | {"sources": sources, "features": tuple(told["features"]), "erased": erased})


def _plain(manifest: Manifest | type[Manifest]) -> list[str]:
    """Name what is kept as it is; `sources` and `erased` are not."""
    return [name for name in manifest.__dataclass_fields__ if name not in {"sources", "erased"}]
