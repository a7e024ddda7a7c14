"""Which number of a model is explained: its score, or an element of one of its outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inference.domain.explanations import SCORE
from inference.explain.errors import InvalidExplainRequest

if TYPE_CHECKING:
    from model_package import Outputs, Scorer
    from numpy.typing import NDArray

    from inference.domain.explanations import Target

_PROBABILITIES: Final = "probabilities"
_CLASSIFY: Final = ("binary", "multiclass")


def is_probability(scorer: Scorer, target: Target) -> bool:
    """Tell whether the number is a probability, so that it has log-odds too."""
    return scorer.signature.task in _CLASSIFY and target.output in {SCORE, _PROBABILITIES}


def pick(answers: Outputs, target: Target, version: str) -> NDArray[np.float64]:
    """Return the number of each row: float64[n].

    Raises:
        InvalidExplainRequest: The model has no such output, no such element of it, or it holds no numbers.
    """
    if target.output == SCORE:
        numbers = np.array(answers.scores, np.float64)[:, np.newaxis]
    else:
        numbers = _numbers(answers, target.output, version)
    if not 0 <= target.element < numbers.shape[1]:
        raise InvalidExplainRequest(
            "element",
            f"is {target.element}; {target.output!r} of {version} has {numbers.shape[1]} elements, from 0",
        )
    return np.ascontiguousarray(numbers[:, target.element])


def _numbers(answers: Outputs, output: str, version: str) -> NDArray[np.float64]:
    found = answers.named.get(output)
    if found is None:
        known = ", ".join(sorted({SCORE, *answers.named}))
        raise InvalidExplainRequest("output", f"{version} has no output {output!r}; it has: {known}")
    if found.dtype.kind not in "fiub":
        raise InvalidExplainRequest("output", f"{output!r} of {version} holds no numbers to explain")
    return found.reshape(len(found), -1).astype(np.float64)
