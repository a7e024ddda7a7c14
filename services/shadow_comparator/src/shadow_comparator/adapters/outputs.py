"""What a prediction holds beside its score: probabilities of many classes, or an embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shadow_comparator.domain.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from tidemark.scoring.v1.output_pb2 import Output

    from shadow_comparator.domain.tasks import ModelRules

_FLOATS: Final[dict[str, str]] = {"FP32": "<f4", "FP64": "<f8"}
_SUM_TOLERANCE: Final = 1e-3
_LENGTH_TOLERANCE: Final = 1e-6


def numbers_of(outputs: Iterable[Output], score: float, rules: ModelRules) -> bytes:
    """Find the numbers that a score was made of.

    No event says which output that is, but the score does: it is the greatest of the probabilities, or the
    embedding's length (docs/formats.md).

    Returns:
        Little-endian float64; empty where no output of the event is it, as where outputs are not recorded.
    """
    found = _probabilities if rules.task is Task.MULTICLASS else _embedding
    if rules.task not in {Task.MULTICLASS, Task.EMBEDDING}:
        return b""
    return next((row.tobytes() for row in _rows(outputs) if found(row, score, rules)), b"")


def _rows(outputs: Iterable[Output]) -> Iterator[NDArray[np.float64]]:
    for output in outputs:
        dtype: Any = _FLOATS.get(output.datatype)
        if dtype is not None and output.values and len(output.values) % np.dtype(dtype).itemsize == 0:
            yield np.frombuffer(output.values, dtype).astype("<f8")


def _probabilities(row: NDArray[np.float64], score: float, rules: ModelRules) -> bool:
    if row.size != rules.classes or not ((row >= 0) & (row <= 1)).all():
        return False
    return bool(abs(row.sum() - 1) <= _SUM_TOLERANCE and row.max() == score)


def _embedding(row: NDArray[np.float64], score: float, _: ModelRules) -> bool:
    if not np.isfinite(row).all():
        return False
    with np.errstate(over="ignore"):
        return bool(abs(np.sqrt(np.square(row).sum()) - score) <= _LENGTH_TOLERANCE * score)
