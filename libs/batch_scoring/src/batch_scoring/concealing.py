"""Sensitive columns of an input, hashed before anything else sees them: see `feature_store.concealment`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from batch_scoring.columns import ENTITY, INPUT
from batch_scoring.errors import UnknownColumn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from feature_store import Pseudonyms
    from feature_store.concealment import Concealment

    from batch_scoring.columns import Columns

    Named = Sequence[tuple[str, str]]
    """What a project calls something, and the column that holds it."""


@dataclass(frozen=True, slots=True)
class Concealed:
    """The columns that are hashed, and what with."""

    columns: tuple[str, ...]
    pseudonyms: Pseudonyms | None

    @classmethod
    def of(cls, columns: Columns, concealment: Concealment | None, label: str) -> Self:
        """Return what a project hashes of the columns that requests are made of.

        Args:
            columns: Of the requests.
            concealment: The project's; None where nothing is sensitive.
            label: The model's label, whose request key may be hashed.

        Raises:
            UnknownColumn: a column is kept that the project does not know.
        """
        if concealment is None:
            return cls((), None)
        entities, inputs = list(columns.entities.items()), list(columns.inputs.items())
        return cls._of(columns, entities, inputs, concealment, label)

    @classmethod
    def of_given(cls, columns: Columns, concealment: Concealment | None, label: str) -> Self:
        """Return what a project hashes of the columns kept beside given vectors, by their names.

        Args:
            columns: Of the vectors.
            concealment: The project's; None where nothing is sensitive, or no project is known.
            label: The model's label, whose request key may be hashed.

        Raises:
            UnknownColumn: a column is kept that the project does not know.
        """
        if concealment is None:
            return cls((), None)
        entities = _called(ENTITY, concealment.known_entities, columns.kept)
        inputs = _called(INPUT, concealment.known_inputs, columns.kept)
        return cls._of(columns, entities, inputs, concealment, label)

    @classmethod
    def _of(
        cls,
        columns: Columns,
        entities: Named,
        inputs: Named,
        concealment: Concealment,
        label: str,
    ) -> Self:
        hashed = [column for name, column in entities if name in concealment.hashed_entities]
        hashed += [column for name, column in inputs if name in concealment.hashed_inputs]
        if columns.request_key is not None and label in concealment.hashed_request_keys:
            hashed.append(columns.request_key)
        told = {columns.request_key, columns.request_time, *columns.features}
        known = {column for _, column in [*entities, *inputs]} | told
        strange = [name for name in columns.kept if name not in known]
        if strange:
            raise UnknownColumn(
                f"--keep {strange[0]}: the project has sensitive fields and does not say what this column "
                "holds; join it to the scores by request_key where it may be read"
            )
        return cls(tuple(dict.fromkeys(hashed)), concealment.pseudonyms)

    def hide(self, rows: pa.Table) -> pa.Table:
        """Return rows with pseudonyms for what is sensitive; null and empty stay."""
        for name in self.columns:
            assert self.pseudonyms is not None
            told = rows[name].cast(pa.string()).combine_chunks().dictionary_encode()
            hidden = [key and self.pseudonyms.of(key) for key in told.dictionary.to_pylist()]
            column = pa.DictionaryArray.from_arrays(told.indices, pa.array(hidden, pa.string()))
            rows = rows.set_column(rows.schema.get_field_index(name), name, column.cast(pa.string()))
        return rows


def _called(what: str, names: Collection[str], kept: Iterable[str]) -> Named:
    """Return the kept columns that are called by a name, with its prefix or without."""
    plain = {column: column.removeprefix(f"{what}.") for column in kept}
    return [(name, column) for column, name in plain.items() if name in names]
