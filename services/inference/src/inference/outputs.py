"""The outputs of a reply in the Open Inference Protocol: names, types and contents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inference.domain.errors import InvalidRequest, NoScore
from inference.domain.tensors import BYTES, tensor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from model_package import Scorer
    from numpy.typing import NDArray

    from inference.domain.cells import Cell
    from inference.domain.tensors import Tensor
    from inference.scored import Scored

STATUSES: Final = "feature_statuses"
SCORE: Final = "score"


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


_EVERY_MODELS: Final[Mapping[str, _Output]] = {
    SCORE: _Output("FP64", lambda scored: np.array([one.score for one in scored], np.float64)),
    STATUSES: _Output("INT32", lambda scored: np.stack([one.vectors.statuses[one.row] for one in scored])),
    "prediction_ids": _texts(lambda one: one.asked.prediction_id),
    "versions": _texts(lambda one: one.arm.version.version),
    "variants": _texts(lambda one: one.arm.variant),
}


def inputs_of(scorer: Scorer) -> Sequence[str]:
    """What a version's graph calls the matrix of all features, where it takes one."""
    inputs = scorer.signature.inputs
    return [inputs[0].name] if len(inputs) == 1 else []


def outputs_of(scorer: Scorer) -> Sequence[TensorInfo]:
    """What a version gives unasked: its score, and whatever it has beside."""
    infos = {SCORE: TensorInfo(SCORE, _EVERY_MODELS[SCORE].datatype, (-1,))}
    if scorer.has_more:
        infos |= {
            one.name: TensorInfo(one.name, one.datatype, (-1, *one.shape)) for one in scorer.signature.outputs
        }
    return list(infos.values())


class Wanted:
    """The outputs that a request wants, in the order in which it wants them.

    Args:
        asked: Those that it names; where it names none, all that are given unasked.
        parameters: The request's: `feature_statuses` asks for these, too.
        scorers: The versions that may answer; an output must be every one's.

    Raises:
        InvalidRequest: It names an output that there is not, or one twice.
    """

    def __init__(
        self, asked: Sequence[str], parameters: Mapping[str, Cell], scorers: Sequence[Scorer]
    ) -> None:
        unasked = [{one.name: one.datatype for one in outputs_of(scorer)} for scorer in scorers]
        self._datatypes = {
            name: datatype
            for name, datatype in unasked[0].items()
            if all(other.get(name) == datatype for other in unasked)
        }
        names = list(asked or self._datatypes)
        known = dict.fromkeys((*self._datatypes, *_EVERY_MODELS))
        for name in names:
            if name not in known:
                raise InvalidRequest(f"outputs[{name}]", f"is unknown, there are {', '.join(known)}")
        if len(set(names)) < len(names):
            raise InvalidRequest("outputs", "name an output twice")
        asks = parameters.get(STATUSES, False)
        if not isinstance(asks, bool):
            raise InvalidRequest(f"parameters[{STATUSES}]", "must be true or false")
        self._names = [*names, STATUSES] if asks and STATUSES not in names else names

    def tensors(self, scored: Sequence[Scored]) -> list[Tensor]:
        """Write the outputs of the rows of a request.

        Raises:
            NoScore: The rows' outputs are of different shapes, and so make no tensor together.
        """
        return [self._tensor(name, scored) for name in self._names]

    def _tensor(self, name: str, scored: Sequence[Scored]) -> Tensor:
        own = [one.outputs[name] for one in scored if one.outputs is not None and name in one.outputs]
        output = _EVERY_MODELS.get(name)
        if output is not None and len(own) < len(scored):
            return tensor_of(name, output.values(scored), output.datatype)
        if len(own) < len(scored) or len({one.shape for one in own}) > 1:
            raise NoScore(f"output {name!r} is not alike in every row: ask for one row at a time")
        values = np.stack(own)
        if values.dtype == object:
            texts = np.array([text.encode() for text in values.ravel().tolist()], object)
            values = texts.reshape(values.shape)
        return tensor_of(name, values, self._datatypes[name])
