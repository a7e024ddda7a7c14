"""Which number of a model is explained: its score, or an element of one of its outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inference.domain.explanations import SCORE, Target
from inference.explain.errors import InvalidExplainRequest

if TYPE_CHECKING:
    from model_package import Outputs, Scorer
    from numpy.typing import NDArray

_CLASSIFY: Final = ("binary", "multiclass")


def meant(scorer: Scorer, target: Target, vector: NDArray[np.float32]) -> Target:
    """Return the number that is explained where `target` is asked for.

    Of many classes the score is the likeliest's probability. Which class that is differs from vector to
    vector, and a mean over classes is of none of them: the probability of the vector's own is explained.
    """
    if target != Target() or scorer.signature.task != "multiclass":
        return target
    [probabilities] = scorer.run(vector[np.newaxis]).named[scorer.score_output].reshape(1, -1)
    return Target(scorer.score_output, int(np.argmax(probabilities)))


def answers_for(scorer: Scorer, target: Target, rows: NDArray[np.float32]) -> Outputs:
    """Run the model, for every output where one is asked for by name."""
    return scorer.answer(rows) if target.output == SCORE else scorer.run(rows)


def is_probability(scorer: Scorer, target: Target) -> bool:
    """Tell whether the number is a probability, so that it has log-odds too."""
    return scorer.signature.task in _CLASSIFY and target.output in {SCORE, scorer.score_output}


def class_name(scorer: Scorer, target: Target) -> str:
    """Return which class's probability the number is; empty where it is none, or nobody said."""
    classes = scorer.signature.classes
    is_of_one = target.output == scorer.score_output and target.element < len(classes)
    return classes[target.element] if is_of_one and is_probability(scorer, target) else ""


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
