"""Sensitive columns of an input, hashed before anything else sees them: see `feature_store.concealment`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from batch_scoring.errors import UnknownColumn

if TYPE_CHECKING:
    from feature_store import Pseudonyms
    from feature_store.concealment import Concealment

    from batch_scoring.columns import Columns


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
        hashed = [column for name, column in columns.entities.items() if name in concealment.hashed_entities]
        hashed += [column for name, column in columns.inputs.items() if name in concealment.hashed_inputs]
        if columns.request_key is not None and label in concealment.hashed_request_keys:
            hashed.append(columns.request_key)
        known = {*columns.entities.values(), *columns.inputs.values()}
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
