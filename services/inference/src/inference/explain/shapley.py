"""Shapley values of one number of a model, by the shap library.

What shap is given is the game itself: which features are in, 0 or 1. Putting vectors together is done here,
so that the model sees the very float32 numbers of the vector and of the background, and a feature that
differs from no row of the background is left out by comparison of bits, not by closeness.

Of a probability p two games are played on the same runs of the model: for p, and for its log-odds.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inference.domain.explanations import Attribution, Method, Scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

Evaluate = Callable[["NDArray[np.float32]"], "NDArray[np.float64]"]
"""float32[n, F] -> float64[n]."""

MOST_EXACT: Final = 10
"""Up to so many features every subset is tried: 1,024 of them."""
PERMUTATIONS: Final = 10
_SEED: Final = 20_130_101
_ROWS_A_RUN: Final = 2_048
NEAREST: Final = 2.0**-24
"""Half the distance of the float32 numbers below 1: probabilities nearer to 0 or 1 count as this near."""


@functools.cache
def load_shap() -> Any:
    """Import the shap library, which takes seconds of a core: call it beside what need not wait for it."""
    import numba  # noqa: PLC0415 - with shap

    compiler: Any = numba.config  # its names are made at run time
    with warnings.catch_warnings():
        # It sets up colour maps for plots that nobody draws, in a way that matplotlib announces to refuse.
        warnings.simplefilter("ignore")
        # What it compiles works on a thousand masks here, not on vectors: compiling takes 8 s, running 50 ms.
        compiler.DISABLE_JIT = True
        try:
            import shap  # noqa: PLC0415 - see above
        finally:
            compiler.DISABLE_JIT = False
    return shap


def attribute(
    evaluate: Evaluate,
    vector: NDArray[np.float32],
    background: NDArray[np.float32],
    *,
    is_probability: bool,
) -> Attribution:
    """Return what each feature of a vector adds, against a background.

    The value of a set of features is the mean, over the rows of the background, of the model's answer to the
    row with those features taken from the vector (Lundberg and Lee 2017, the interventional expectation). The
    same arguments give the same bits. For one caller at a time: shap draws from numpy's global generator.

    Args:
        evaluate: The model.
        vector: float32[F].
        background: float32[n, F].
        is_probability: Whether log-odds are wanted as well.
    """
    varying = np.flatnonzero((background != vector).any(axis=0))
    game = _Game(evaluate, vector, background, varying, is_probability=is_probability)
    method = Method.EXACT if len(varying) <= MOST_EXACT else Method.PERMUTATION
    value, base, contributions = _play(game, len(varying), method)
    parts = _spread(contributions, varying, len(vector))
    scales = [Scale(*one) for one in zip(value.tolist(), base.tolist(), parts, strict=True)]
    return Attribution(method, scales[0], scales[1] if is_probability else None)


def log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ln(p / (1 - p)), of what is nearer to 0 or 1 than `NEAREST` that of `NEAREST`."""
    bounded = np.clip(probabilities, NEAREST, 1 - NEAREST)
    return np.asarray(np.log(bounded) - np.log1p(-bounded), dtype=np.float64)


class _Game:
    """What sets of features are worth: float64[m, k] for masks [m, F'], k scales."""

    def __init__(
        self,
        evaluate: Evaluate,
        vector: NDArray[np.float32],
        background: NDArray[np.float32],
        varying: NDArray[np.int64],
        *,
        is_probability: bool,
    ) -> None:
        self._evaluate = evaluate
        self._vector = vector
        self._background = background
        self._varying = varying
        self._is_probability = is_probability
        self._at_once = max(1, _ROWS_A_RUN // len(background))

    def __call__(self, masks: NDArray[Any]) -> NDArray[np.float64]:
        parts = [
            self._worth(masks[at : at + self._at_once] > 0) for at in range(0, len(masks), self._at_once)
        ]
        return np.concatenate(parts)

    def _worth(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        taken = np.ones((len(masks), len(self._vector)), np.bool_)
        taken[:, self._varying] = masks
        rows = np.where(taken[:, np.newaxis, :], self._vector, self._background)
        answers = self._evaluate(rows.reshape(-1, len(self._vector))).reshape(len(masks), -1)
        scales = [answers, log_odds(answers)] if self._is_probability else [answers]
        return np.stack([scale.mean(axis=1) for scale in scales], axis=1)


def _play(
    game: _Game, players: int, method: Method
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the worth of all, of none, and each one's part: float64[k], [k], [F', k]."""
    all_in = np.ones((1, players))
    whole, none = game(np.concatenate([all_in, np.zeros((1, players))]))
    if not players:
        return whole, none, np.zeros((0, len(whole)))
    shap = load_shap()
    masker = shap.maskers.Independent(np.zeros((1, players)), max_samples=1)
    if method is Method.EXACT:
        found = shap.explainers.Exact(game, masker)(all_in, max_evals=2**players, silent=True)
    else:
        explainer = shap.explainers.Permutation(game, masker, seed=_SEED)
        found = explainer(all_in, max_evals=PERMUTATIONS * (2 * players + 1), silent=True)
    return whole, none, np.asarray(found.values, dtype=np.float64).reshape(players, len(whole))


def _spread(
    contributions: NDArray[np.float64], varying: NDArray[np.int64], width: int
) -> list[NDArray[np.float64]]:
    spread = np.zeros((contributions.shape[1], width))
    spread[:, varying] = contributions.T
    return list(spread)
