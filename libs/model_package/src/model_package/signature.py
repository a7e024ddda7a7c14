"""What a graph reads and answers, tensor by tensor, in the words of the Open Inference Protocol."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Task = Literal["binary", "multiclass", "regression", "ranking", "embedding"]

DATATYPES: Final[Mapping[str, str]] = {
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(int64)": "INT64",
    "tensor(int32)": "INT32",
    "tensor(bool)": "BOOL",
    "tensor(string)": "BYTES",
}
"""ONNX Runtime's name of a type to the protocol's; a graph's inputs and outputs may have no other."""

DTYPES: Final[Mapping[str, Any]] = {
    "FP32": np.float32,
    "FP64": np.float64,
    "INT64": np.int64,
    "INT32": np.int32,
    "BOOL": np.bool_,
    "BYTES": np.object_,
}
"""The protocol's name of a type to numpy's; texts are `str` in object arrays."""

_NAMES: Final = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output.

    Attributes:
        name: As the graph names it.
        datatype: FP32, FP64, INT64, INT32, BOOL or BYTES, which are texts.
        shape: Of one row; -1 where it varies or the graph does not say.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model reads and answers.

    Attributes:
        task: It decides what the score is: see `ScoreResponse.score`.
        outputs: Every output that is answered.
        inputs: Of the graph: one that takes the whole vector, or several that features are dealt to.
        classes: What the columns of a classifier's probabilities stand for; empty where nobody said.
    """

    task: Task
    outputs: tuple[TensorSpec, ...]
    inputs: tuple[TensorSpec, ...]
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What a model answered for some rows.

    Attributes:
        scores: One a row, finite: what is compared and watched; see `ScoreResponse.score`.
        named: Every output by its name, first axis the rows; object arrays of str for texts.
    """

    scores: list[float]
    named: Mapping[str, NDArray[Any]]


def datatype_of(dtype: np.dtype[Any]) -> str:
    """The protocol's name of an array's type.

    Raises:
        KeyError: No output has such a type.
    """
    return _NAMES[dtype]
