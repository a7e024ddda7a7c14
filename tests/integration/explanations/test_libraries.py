"""Models of the libraries that people train with, explained: held against what shap says of their own.

The graph is what is explained here; there it is the trained object itself, by another of shap's explainers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from explain_shelf import WIDTH, Shelf, ref_of
from inference.domain.explanations import Explained, Scale, Subject, Target
from inference.explain.shapley import load_shap
from inference_kit.stock import MODEL
from model_package import DeclaredSignature, ScoreSource
from numpy.typing import NDArray
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as ToolsFloats
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import GradientBoostingRegressor

# The converters hand booleans to protobuf where it wants ints.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*bool.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

ROWS = (np.random.default_rng(11).random((240, WIDTH)) * 20).astype(np.float32)
BACKGROUND, VECTORS = ROWS[:40], ROWS[100:104]
CLASSES = ("low", "middle", "high")
OF_THREE = (ROWS[:, 5] // 7).astype(np.int64)
OF_TWO = (ROWS[:, 5] + ROWS[:, 2] > 20).astype(np.int64)
VALUES = ROWS[:, 5] * 3 + ROWS[:, 3]
shap = load_shap()
SUM, SAME = 1e-6, 1e-4

Ask = Callable[..., Any]


def signed(task: Any, output: str, classes: tuple[str, ...] = ()) -> DeclaredSignature:
    return DeclaredSignature(task=task, score=ScoreSource(output=output), classes=classes)


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    shelf = Shelf(tmp_path)

    def of_graph(graph: Any, signature: DeclaredSignature) -> Ask:
        version = ref_of(shelf.stock.graph_version(graph.SerializeToString(), signature, BACKGROUND))

        async def asked(vector: NDArray[np.float32], target: Target | None = None) -> Explained:
            subject = Subject(MODEL, version.version, vector, np.ones(WIDTH, np.uint8))
            return await shelf.explainer.explain(version, subject, target or Target())

        return asked

    return of_graph


def check(scale: Scale, contributions: NDArray[np.float64], value: float, base: float) -> None:
    np.testing.assert_allclose(scale.contributions, contributions, atol=SAME)
    assert scale.value == pytest.approx(value, abs=SAME)
    assert scale.base == pytest.approx(base, abs=SAME)
    assert scale.base + scale.contributions.sum() == pytest.approx(scale.value, abs=SUM)


async def test_a_regression_of_scikit_learn(ask: Ask) -> None:
    model = GradientBoostingRegressor(n_estimators=20, random_state=3).fit(ROWS, VALUES)
    graph = to_onnx(model, initial_types=[("features", FloatTensorType([None, WIDTH]))])
    explain = ask(graph, signed("regression", "variable"))
    theirs = shap.TreeExplainer(model, BACKGROUND, feature_perturbation="interventional")
    for vector in VECTORS:
        found = await explain(vector)
        assert found.attribution.log_odds is None
        predicted = float(model.predict(vector[np.newaxis])[0])
        check(
            found.attribution.plain,
            theirs.shap_values(vector[np.newaxis])[0],
            predicted,
            float(model.predict(BACKGROUND).mean()),
        )


async def test_a_classifier_of_lightgbm_in_log_odds(ask: Ask) -> None:
    model = lightgbm.LGBMClassifier(n_estimators=20, num_leaves=7, random_state=3, verbose=-1)
    model.fit(ROWS, OF_TWO)
    graph = convert_lightgbm(
        model, initial_types=[("features", ToolsFloats([None, WIDTH]))], zipmap=False, target_opset=15
    )
    explain = ask(graph, signed("binary", "probabilities", ("stays", "leaves")))
    theirs = shap.TreeExplainer(model, BACKGROUND, feature_perturbation="interventional")
    for vector in VECTORS:
        found = await explain(vector)
        assert (found.is_score, found.class_name) == (True, "")
        raw = float(model.predict(vector[np.newaxis], raw_score=True)[0])
        ours = found.attribution.log_odds
        assert ours is not None
        check(
            ours,
            np.asarray(theirs.shap_values(vector[np.newaxis])).reshape(-1, WIDTH)[-1],
            raw,
            float(model.predict(BACKGROUND, raw_score=True).mean()),
        )
        probability = float(model.predict_proba(vector[np.newaxis])[0, 1])
        assert found.attribution.plain.value == pytest.approx(probability, abs=SAME)
        other = await explain(vector, Target("probabilities", 0))
        np.testing.assert_allclose(
            other.attribution.plain.contributions, -found.attribution.plain.contributions, atol=1e-6
        )
        assert other.class_name == "stays"


async def test_of_many_classes_of_xgboost_the_likeliest_is_explained(ask: Ask) -> None:
    model = xgboost.XGBClassifier(n_estimators=8, max_depth=3, random_state=3).fit(ROWS, OF_THREE)
    graph = convert_xgboost(model, initial_types=[("features", ToolsFloats([None, WIDTH]))])
    explain = ask(graph, signed("multiclass", "probabilities", CLASSES))
    masker = shap.maskers.Independent(BACKGROUND, max_samples=len(BACKGROUND))
    for vector in VECTORS:
        found = await explain(vector)
        probabilities = model.predict_proba(vector[np.newaxis])[0]
        likeliest = int(probabilities.argmax())
        assert found.target == Target("probabilities", likeliest)
        assert (found.is_score, found.class_name) == (True, CLASSES[likeliest])
        assert any("likeliest" in note for note in found.notes)

        def of_class(rows: NDArray[np.float64], number: int = likeliest) -> NDArray[np.float64]:
            return np.asarray(model.predict_proba(rows.astype(np.float32))[:, number], np.float64)

        theirs = shap.explainers.Exact(of_class, masker)(vector[np.newaxis].astype(np.float64), silent=True)
        check(
            found.attribution.plain,
            theirs.values[0],
            float(probabilities[likeliest]),
            float(of_class(BACKGROUND.astype(np.float64)).mean()),
        )
        assert found.attribution.log_odds is not None
        named = await explain(vector, Target("probabilities", likeliest))
        np.testing.assert_array_equal(
            named.attribution.plain.contributions, found.attribution.plain.contributions
        )
        assert not named.is_score
