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
_BESIDE: Final = "output."
"""Before the name of a graph's output that is called as one of every model's."""


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
    """What a version's graph calls the matrix of all features in their order, where it takes one."""
    manifest = scorer.package.manifest
    dealt = manifest.signature.inputs if manifest.signature else ()
    if not dealt:
        return [scorer.signature.inputs[0].name]
    return [one.name for one in dealt if tuple(one.features) == tuple(manifest.feature_names)]


def outputs_of(scorers: Sequence[Scorer]) -> Sequence[TensorInfo]:
    """What is given unasked: the score, and whatever each version that may answer has beside, alike."""
    first, *others = map(_own, scorers)
    score = TensorInfo(SCORE, _EVERY_MODELS[SCORE].datatype, (-1,))
    return [score, *(info for name, info in first.items() if all(own.get(name) == info for own in others))]


def _own(scorer: Scorer) -> Mapping[str, TensorInfo]:
    """By name, what a version has beside its score; names that mean something here are put behind another."""
    if not scorer.has_more:
        return {}
    infos = [
        TensorInfo(
            f"{_BESIDE}{one.name}" if one.name in _EVERY_MODELS else one.name, one.datatype, (-1, *one.shape)
        )
        for one in scorer.signature.outputs
    ]
    return {info.name: info for info in infos}


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
        self._own = {one.name: one for one in outputs_of(scorers) if one.name != SCORE}
        unasked = [SCORE, *self._own]
        names = list(asked or unasked)
        known = dict.fromkeys((*unasked, *_EVERY_MODELS))
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
        output = _EVERY_MODELS.get(name)
        if output is not None:
            return tensor_of(name, output.values(scored), output.datatype)
        own = [_value(name, one) for one in scored]
        if len({value.shape for value in own}) > 1:
            raise NoScore(f"output {name!r} is not alike in every row: ask for one row at a time")
        values = np.stack(own)
        if values.dtype == object:
            texts = np.array([text.encode() for text in values.ravel().tolist()], object)
            values = texts.reshape(values.shape)
        return tensor_of(name, values, self._own[name].datatype)


def _value(name: str, scored: Scored) -> NDArray[Any]:
    outputs = scored.outputs or {}
    value = outputs.get(name, outputs.get(name.removeprefix(_BESIDE)))
    if value is None:
        # The route was changed while the request waited for its model.
        raise NoScore(f"{scored.arm.version.version} has no output {name!r}: ask again")
    return value
