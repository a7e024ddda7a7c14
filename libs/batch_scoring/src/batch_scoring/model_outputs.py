"""What a model answers, as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

    from model_package import Scorer, TensorSpec
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


def specs_of(scorer: Scorer) -> tuple[TensorSpec, ...]:
    """Return what `Scorer.answer` names beside the score."""
    return scorer.signature.outputs if scorer.has_more else ()


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
