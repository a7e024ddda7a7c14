"""The optional second graph of a package: from readings of rows to the score, without any Python on the way.

What its inputs mean is the feature store's matter (`docs/formats.md`); here it is a graph with named inputs,
and rows that it must answer as the two steps, vector and score, were answered when it was packaged.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model_package.errors import MalformedPackage
from model_package.manifest import canonical_json

SERVED: Final = "served.onnx"
SERVED_GOLDEN: Final = "served_golden.json"

_DTYPES: Final[Mapping[str, Any]] = {
    "bool": np.bool_,
    "float64": np.float64,
    "int64": np.int64,
    "int8": np.int8,
    "string": np.object_,
}
_NAMES: Final = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True, slots=True, eq=False)
class ServedGolden:
    """Inputs of the graph, and what it must answer.

    Attributes:
        inputs: By name, each [n] or [n, width].
        values: float32[n, F], the vectors; finite.
        statuses: uint8[n, F].
        scores: float64[n]; as the package's model scores these vectors.
        is_exact: Whether the vectors must be the same bits; where not, each within `tolerance`, relative or
            absolute.
        tolerance: Greatest absolute difference of scores allowed.
    """

    inputs: Mapping[str, NDArray[Any]]
    values: NDArray[np.float32]
    statuses: NDArray[np.uint8]
    scores: NDArray[np.float64]
    is_exact: bool = True
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        n = len(self.values)
        if not n or self.values.ndim != 2 or self.values.shape != self.statuses.shape:
            raise ValueError(f"golden values {self.values.shape} and statuses {self.statuses.shape} differ")
        lengths = {len(column) for column in self.inputs.values()} | {len(self.scores)}
        if lengths != {n}:
            raise ValueError(f"golden inputs and scores have {sorted(lengths)} rows for {n} vectors")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"the golden tolerance must be within (0, 1), got {self.tolerance}")

    def to_bytes(self) -> bytes:
        """Canonical JSON; every number is written exactly, NaN as null."""
        inputs = {
            name: {"dtype": _NAMES[column.dtype], "values": _to_json(column)}
            for name, column in self.inputs.items()
        }
        document = {
            "inputs": inputs,
            "values": self.values.tolist(),
            "statuses": self.statuses.tolist(),
            "scores": self.scores.tolist(),
            "exact": self.is_exact,
            "tolerance": self.tolerance,
        }
        return canonical_json(document)


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """The graph and its golden rows."""

    graph: bytes
    golden: ServedGolden

    def files(self) -> dict[str, bytes]:
        """What stands in the package."""
        return {SERVED: self.graph, SERVED_GOLDEN: self.golden.to_bytes()}


def parse_served(files: Mapping[str, bytes], *, uri: str, width: int) -> Served | None:
    """Read what a package has of a served graph: None where it has none.

    Raises:
        MalformedPackage: One of the two files is missing, or not as the format says.
    """
    present = [name for name in (SERVED, SERVED_GOLDEN) if name in files]
    if not present:
        return None
    if len(present) == 1:
        raise MalformedPackage(
            f"package {uri} has {present[0]} alone: {SERVED} and {SERVED_GOLDEN} go together"
        )
    try:
        golden = _parse_golden(json.loads(files[SERVED_GOLDEN]))
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise MalformedPackage(f"{SERVED_GOLDEN} of package {uri} is not valid: {error!r}") from error
    if golden.values.shape[1] != width:
        found = golden.values.shape[1]
        raise MalformedPackage(f"{SERVED_GOLDEN} of package {uri} has {found} values for {width} features")
    return Served(files[SERVED], golden)


def _parse_golden(document: Mapping[str, Any]) -> ServedGolden:
    return ServedGolden(
        {
            name: np.array(column["values"], dtype=_DTYPES[column["dtype"]])
            for name, column in document["inputs"].items()
        },
        np.array(document["values"], np.float32),
        np.array(document["statuses"], np.uint8),
        np.array(document["scores"], np.float64),
        bool(document["exact"]),
        float(document["tolerance"]),
    )


def _to_json(column: NDArray[Any]) -> Any:
    if column.dtype != np.float64:
        return column.tolist()
    return [None if np.isnan(number) else float(number) for number in column]
