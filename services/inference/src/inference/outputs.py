"""The outputs of a reply in the Open Inference Protocol: names, types and contents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inference.domain.errors import InvalidRequest
from inference.domain.tensors import BYTES, tensor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from model_package import Scorer
    from numpy.typing import NDArray

    from inference.domain.cells import Cell
    from inference.domain.tensors import Tensor
    from inference.scored import Scored

STATUSES: Final = "feature_statuses"


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a tensor is, before there is one.

    Attributes:
        shape: The first dimension the rows, -1 where it varies.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Output:
    datatype: str
    values: Callable[[Sequence[Scored]], NDArray[Any]]


def _texts(of: Callable[[Scored], str]) -> _Output:
    return _Output(BYTES, lambda scored: np.array([of(one).encode() for one in scored], object))


_ALWAYS: Final[Mapping[str, _Output]] = {
    "score": _Output("FP64", lambda scored: np.array([one.score for one in scored], np.float64)),
}
_ON_REQUEST: Final[Mapping[str, _Output]] = {
    STATUSES: _Output("INT32", lambda scored: np.stack([one.vectors.statuses[one.row] for one in scored])),
    "prediction_ids": _texts(lambda one: one.asked.prediction_id),
    "versions": _texts(lambda one: one.arm.version.version),
    "variants": _texts(lambda one: one.arm.variant),
}
_KNOWN: Final = {**_ALWAYS, **_ON_REQUEST}


def input_of(scorer: Scorer) -> str:
    """What a version's graph calls its matrix of features."""
    return scorer._input  # noqa: SLF001 - the package's signature will say it


def outputs_of(_scorer: Scorer) -> Sequence[TensorInfo]:
    """What a version gives unasked."""
    return [TensorInfo(name, output.datatype, (-1,)) for name, output in _ALWAYS.items()]


def wanted_of(names: Sequence[str], parameters: Mapping[str, Cell]) -> Sequence[str]:
    """Which outputs a request wants.

    Args:
        names: Those that it names; where it names none, all that are given unasked.
        parameters: The request's: `feature_statuses` asks for these, too.

    Raises:
        InvalidRequest: It names an output that there is not, or one twice.
    """
    wanted = list(names or _ALWAYS)
    for name in wanted:
        if name not in _KNOWN:
            raise InvalidRequest(f"outputs[{name}]", f"is unknown, there are {', '.join(_KNOWN)}")
    if len(set(wanted)) < len(wanted):
        raise InvalidRequest("outputs", "name an output twice")
    asks = parameters.get(STATUSES, False)
    if not isinstance(asks, bool):
        raise InvalidRequest(f"parameters[{STATUSES}]", "must be true or false")
    return [*wanted, STATUSES] if asks and STATUSES not in wanted else wanted


def tensors_of(scored: Sequence[Scored], wanted: Sequence[str]) -> list[Tensor]:
    """Write outputs of the rows of a request, in the order in which they are wanted."""
    return [tensor_of(name, _KNOWN[name].values(scored), _KNOWN[name].datatype) for name in wanted]
