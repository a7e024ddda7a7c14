"""Shapley values are right: by their sum, by the closed form, and by shap's own explainer of trees."""

from collections.abc import Callable
from itertools import combinations
from math import factorial

import numpy as np
import pytest
from inference.domain.explanations import Method
from inference.explain.shapley import MOST_EXACT, attribute, load_shap, log_odds
from model_package.session import open_session
from model_package.testing import logistic_model
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier
from trainer.adapters.onnx import convert

Vectors = NDArray[np.float32]
Evaluate = Callable[[Vectors], NDArray[np.float64]]

shap = load_shap()


def _vectors(seed: int, rows: int, width: int) -> Vectors:
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def _onnx(graph: bytes, output: str) -> Evaluate:
    session = open_session(graph, "a test's model")
    name = session.get_inputs()[0].name

    def evaluate(rows: Vectors) -> NDArray[np.float64]:
        found: NDArray[np.float64] = session.run([output], {name: rows})[0][:, -1].astype(np.float64)
        return found

    return evaluate


def _boosted(width: int, depth: int) -> GradientBoostingClassifier:
    rows = _vectors(1, 800, width)
    labels = (rows[:, 0] * rows[:, 1] + rows[:, 2] > 0).astype(int)
    return GradientBoostingClassifier(n_estimators=20, max_depth=depth, random_state=3).fit(rows, labels)


@pytest.mark.parametrize("width", [3, MOST_EXACT, MOST_EXACT + 1, 43])
def test_contributions_sum_to_the_score_whatever_the_method(width: int) -> None:
    evaluate = _onnx(convert(_boosted(width, 3), width), "probabilities")
    background, vector = _vectors(5, 100, width), _vectors(6, 1, width)[0]
    found = attribute(evaluate, vector, background, is_probability=True)
    score = float(evaluate(vector[np.newaxis])[0])

    assert found.method is (Method.EXACT if width <= MOST_EXACT else Method.PERMUTATION)
    assert found.plain.value == pytest.approx(score, abs=1e-6)
    assert found.plain.base == pytest.approx(float(evaluate(background).mean()), abs=1e-6)
    assert found.log_odds is not None
    for scale in (found.plain, found.log_odds):
        assert scale.base + scale.contributions.sum() == pytest.approx(scale.value, abs=1e-9)
        assert np.abs(scale.contributions).max() > 0.01


def test_a_logistic_model_has_the_closed_form_in_log_odds() -> None:
    weights = np.array([0.5, -1.25, 0.0, 2.0])
    evaluate = _onnx(logistic_model(weights.tolist(), 0.3), "score")
    background, vector = _vectors(7, 50, 4), np.array([0.5, 1.0, -3.0, 0.25], np.float32)
    found = attribute(evaluate, vector, background, is_probability=True).log_odds
    assert found is not None
    # A linear function's value of a feature is its weight times how far it lies from its mean.
    wanted = weights * (vector.astype(np.float64) - background.astype(np.float64).mean(axis=0))
    np.testing.assert_allclose(found.contributions, wanted, atol=2e-5)
    assert found.contributions[2] == pytest.approx(0.0, abs=1e-12)


def _by_trees(model: GradientBoostingClassifier, background: Vectors, vector: Vectors) -> NDArray[np.float64]:
    """What shap's own explainer of trees says, in log-odds: exact, by another algorithm.

    Its probabilities are log-odds rescaled, which is another thing.
    """

    explainer = shap.TreeExplainer(
        model, background, feature_perturbation="interventional", model_output="raw"
    )
    found: NDArray[np.float64] = explainer.shap_values(vector[np.newaxis], check_additivity=False)[0]
    return found


def test_it_agrees_with_the_explainer_of_trees() -> None:
    model = _boosted(6, 4)
    background, vector = _vectors(8, 60, 6), _vectors(9, 1, 6)[0]
    evaluate = _onnx(convert(model, 6), "probabilities")
    found = attribute(evaluate, vector, background, is_probability=True)
    peer = _by_trees(model, background, vector)
    assert found.method is Method.EXACT
    assert found.log_odds is not None
    assert np.abs(peer).max() > 0.05
    np.testing.assert_allclose(found.log_odds.contributions, peer, atol=5e-6)


def test_many_features_that_interact_are_estimated_near_the_explainer_of_trees() -> None:
    model = _boosted(14, 4)
    background, vector = _vectors(10, 60, 14), _vectors(11, 1, 14)[0]
    evaluate = _onnx(convert(model, 14), "probabilities")
    found = attribute(evaluate, vector, background, is_probability=True)
    peer = _by_trees(model, background, vector)
    assert found.method is Method.PERMUTATION
    assert found.log_odds is not None
    np.testing.assert_allclose(found.log_odds.contributions, peer, atol=0.05 * np.abs(peer).max())


def test_it_agrees_with_the_definition_written_out() -> None:
    background, vector = _vectors(12, 9, 4), _vectors(13, 1, 4)[0]

    def evaluate(rows: Vectors) -> NDArray[np.float64]:
        wide = rows.astype(np.float64)
        return np.asarray(wide[:, 0] * wide[:, 1] * wide[:, 2] + np.maximum(wide[:, 3], wide[:, 0]))

    def worth(chosen: tuple[int, ...]) -> float:
        rows = background.copy()
        rows[:, list(chosen)] = vector[list(chosen)]
        return float(evaluate(rows).mean())

    def shapley(feature: int) -> float:
        others = [one for one in range(4) if one != feature]
        return sum(
            factorial(size) * factorial(3 - size) / factorial(4) * (worth((*some, feature)) - worth(some))
            for size in range(4)
            for some in combinations(others, size)
        )

    found = attribute(evaluate, vector, background, is_probability=False)
    np.testing.assert_allclose(
        found.plain.contributions, [shapley(feature) for feature in range(4)], atol=1e-12
    )
    assert found.log_odds is None


def test_two_times_are_the_same_bits() -> None:
    evaluate = _onnx(convert(_boosted(20, 3), 20), "probabilities")
    background, vector = _vectors(14, 40, 20), _vectors(15, 1, 20)[0]
    once, again = (attribute(evaluate, vector, background, is_probability=True) for _ in range(2))
    assert once.plain.contributions.tobytes() == again.plain.contributions.tobytes()


def test_a_feature_that_is_as_in_every_row_adds_exactly_nothing_and_one_that_is_close_counts() -> None:
    vector = np.array([1.0, 1.0, 2.0], np.float32)
    background = np.tile(vector, (4, 1))
    background[:, 1] = np.nextafter(np.float32(1.0), np.float32(0.0))
    found = attribute(
        lambda rows: (rows[:, 1] >= 1).astype(np.float64), vector, background, is_probability=False
    )
    assert found.plain.contributions.tolist() == [0.0, 1.0, 0.0]


def test_a_vector_that_is_the_background_has_nothing_to_explain() -> None:
    vector = np.array([1.0, 2.0], np.float32)
    found = attribute(lambda rows: np.full(len(rows), 0.25), vector, vector[np.newaxis], is_probability=True)
    assert (found.plain.value, found.plain.base) == (0.25, 0.25)
    assert found.plain.contributions.tolist() == [0.0, 0.0]


def test_log_odds_of_certainty_are_bounded() -> None:
    found = log_odds(np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(found, [-24 * np.log(2), 0, 24 * np.log(2)], atol=1e-6)
