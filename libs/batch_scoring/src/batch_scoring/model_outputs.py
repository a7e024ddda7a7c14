"""What a model answers, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from model_package import Scorer
    from numpy.typing import NDArray

_TYPES: Final[Mapping[str, pa.DataType]] = {
    "FP32": pa.float32(),
    "FP64": pa.float64(),
    "INT64": pa.int64(),
    "INT32": pa.int32(),
    "BOOL": pa.bool_(),
    "BYTES": pa.string(),
}
PREFIX: Final = "output."


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An output of a model.

    Attributes:
        name: As the graph names it.
        datatype: FP32, FP64, INT64, INT32, BOOL or BYTES, which are texts.
        shape: Of one row; -1 where it varies.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What a model answered for some rows.

    Attributes:
        scores: One a row, finite.
        named: Every output by its name, first axis the rows; none where the score is all.
    """

    scores: list[float]
    named: Mapping[str, NDArray[Any]]


def outputs_of(scorer: Scorer, vectors: NDArray[np.float32]) -> Outputs:
    """Score vectors, float32[n, F].

    Raises:
        NonFiniteScore: the model answered NaN or infinity.
    """
    return Outputs(scorer.score_list(vectors), {})


def specs_of(scorer: Scorer) -> tuple[TensorSpec, ...]:
    """Return what `outputs_of` names beside the score."""
    del scorer
    return ()


def fields_of(specs: tuple[TensorSpec, ...]) -> list[pa.Field]:
    """Return the columns of outputs: a value, or a list of its first axis for every axis it has."""
    return [pa.field(f"{PREFIX}{spec.name}", _type_of(spec)) for spec in specs]


def columns_of(specs: tuple[TensorSpec, ...], named: Mapping[str, NDArray[Any]]) -> list[pa.Array]:
    """Return the outputs of some rows as `fields_of` says."""
    return [pa.array(named[spec.name].tolist(), _type_of(spec)) for spec in specs]


def _type_of(spec: TensorSpec) -> pa.DataType:
    kind = _TYPES[spec.datatype]
    for _ in spec.shape:
        kind = pa.list_(kind)
    return kind
