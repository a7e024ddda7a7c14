"""Models of the libraries that people train with: exported, packaged, served, and as good as their own.

Each is trained small, turned into a graph as its documentation says, and asked over the wire. What the
served model answers must be what the library predicts for the very vector that was served. PyTorch's was
trained and exported before, with what PyTorch answers beside it: see `pytorch/export.py`.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from inference_kit.asking import prediction, score
from inference_kit.planes import DataPlane, follow
from inference_kit.starting import QUICKEST, StartPlane
from inference_kit.stock import question
from model_package import DeclaredSignature, GraphInput, ScoreSource, Vocabulary
from numpy.typing import NDArray
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as ToolsFloats
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tidemark.common.v1.value_pb2 import Value
from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest, ScoreResponse

# The converters hand booleans to protobuf where it wants ints.
pytestmark = pytest.mark.filterwarnings("ignore:.*bool.*:DeprecationWarning")

TOLERANCE = 1e-5
WIDTH = 7
GENERATOR = np.random.default_rng(11)
ROWS = (GENERATOR.random((240, WIDTH)) * 20).astype(np.float32)
OF_THREE = (ROWS[:, 5] // 7).astype(np.int64)
OF_TWO = (ROWS[:, 5] > 10).astype(np.int64)
VALUES = ROWS[:, 5] * 3 + ROWS[:, 3]
BASKETS = (0.5, 9.25, 19.0)
WHOLE_VECTOR = [("features", FloatTensorType([None, WIDTH]))]
Predict = Callable[[NDArray[np.float32]], NDArray[Any]]


@dataclass
class Exported:
    """A graph, what the manifest says of it, and what its library says to a vector, by output."""

    graph: bytes
    signature: DeclaredSignature
    predictions: dict[str, Predict]


@pytest.fixture(scope="module", params=QUICKEST)
async def plane(request: pytest.FixtureRequest, start_plane: StartPlane) -> AsyncIterator[DataPlane]:
    async with start_plane(request.param) as plane:
        yield plane


def signed(task: Any, output: str, **more: Any) -> DeclaredSignature:
    return DeclaredSignature(task=task, score=ScoreSource(output=output), **more)


def of_classes(graph: Any, model: Any, classes: int) -> Exported:
    names = tuple(f"class {number}" for number in range(classes))
    signature = signed("multiclass" if classes > 2 else "binary", "probabilities", classes=names)
    return Exported(
        graph.SerializeToString(), signature, {"probabilities": model.predict_proba, "label": model.predict}
    )


def of_values(graph: Any, model: Any, task: str = "regression") -> Exported:
    return Exported(graph.SerializeToString(), signed(task, "variable"), {"variable": model.predict})


def scikit_learn_classes() -> Exported:
    model = GradientBoostingClassifier(n_estimators=8, random_state=0).fit(ROWS, OF_THREE)
    return of_classes(
        to_onnx(model, initial_types=WHOLE_VECTOR, options={"zipmap": False}, target_opset=18), model, 3
    )


def scikit_learn_values() -> Exported:
    model = GradientBoostingRegressor(n_estimators=8, random_state=0).fit(ROWS, VALUES)
    return of_values(to_onnx(model, initial_types=WHOLE_VECTOR, target_opset=18), model)


def xgboost_classes() -> Exported:
    model = xgboost.XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1).fit(ROWS, OF_THREE)
    return of_classes(convert_xgboost(model, initial_types=tools_vector(), target_opset=15), model, 3)


def xgboost_values() -> Exported:
    model = xgboost.XGBRegressor(n_estimators=8, max_depth=3, n_jobs=1).fit(ROWS, VALUES)
    return of_values(convert_xgboost(model, initial_types=tools_vector(), target_opset=15), model)


def lightgbm_two_classes() -> Exported:
    model = lightgbm.LGBMClassifier(n_estimators=8, num_leaves=7, n_jobs=1, verbose=-1).fit(ROWS, OF_TWO)
    graph = convert_lightgbm(model, initial_types=tools_vector(), target_opset=15, zipmap=False)
    return of_classes(graph, model, 2)


def lightgbm_ranks() -> Exported:
    model = lightgbm.LGBMRanker(n_estimators=8, num_leaves=7, n_jobs=1, verbose=-1)
    model.fit(ROWS, OF_THREE, group=[12] * 20)
    graph = convert_lightgbm(model, initial_types=tools_vector(), target_opset=15)
    return of_values(graph, model, "ranking")


def tools_vector() -> list[Any]:
    return [("features", ToolsFloats([None, WIDTH]))]


def pytorch_two_heads() -> Exported:
    """The model of `pytorch/export.py`, with what PyTorch answered, and its arithmetic for other vectors."""
    kept = np.load(Path(__file__).parent / "pytorch" / "two_heads.npz")

    def embedding(vectors: NDArray[np.float32]) -> NDArray[Any]:
        return np.tanh(vectors / 20 @ kept["body.weight"].T + kept["body.bias"])

    def probability(vectors: NDArray[np.float32]) -> NDArray[Any]:
        return 1 / (1 + np.exp(-(embedding(vectors) @ kept["head.weight"].T + kept["head.bias"])))

    assert probability(kept["vectors"]) == near(kept["probability"])
    assert embedding(kept["vectors"]) == near(kept["embedding"])
    return Exported(
        kept["graph"].tobytes(),
        signed("binary", "probability", classes=("kept", "returned")),
        {"probability": probability, "embedding": embedding},
    )


@pytest.mark.parametrize(
    "export",
    [
        scikit_learn_classes,
        scikit_learn_values,
        xgboost_classes,
        xgboost_values,
        lightgbm_two_classes,
        lightgbm_ranks,
        pytorch_two_heads,
    ],
)
async def test_a_librarys_model_is_served_as_it_predicts(
    plane: DataPlane, export: Callable[[], Exported]
) -> None:
    exported = export()
    version = plane.stock.graph_version(exported.graph, exported.signature, ROWS[:8])
    await follow(plane, plane.stock.route(version))
    for basket in BASKETS:
        request = question()
        request.context["basket"].number = basket
        reply = await asked(plane, request)
        assert reply.version == version.version
        check(reply, exported, vector_of(reply))


async def asked(plane: DataPlane, request: ScoreRequest) -> ScoreResponse:
    """Ask, and demand that the event says the same."""
    reply = await score(plane, request)
    _, made = await prediction(plane, reply.prediction_id)
    assert (made.score, list(made.outputs)) == (reply.score, list(reply.outputs))
    return reply


def vector_of(reply: ScoreResponse) -> NDArray[np.float32]:
    return np.array([[feature.value for feature in reply.features]], np.float32)


def check(reply: ScoreResponse, exported: Exported, vector: Any) -> None:
    """Hold the score and every output to what the library says."""
    expected = {name: np.asarray(predict(vector))[0] for name, predict in exported.predictions.items()}
    of_score = np.atleast_1d(expected[exported.signature.score.output])
    task = exported.signature.task
    assert reply.score == near(of_score.max() if task == "multiclass" else of_score[-1])
    outputs = {output.name: output for output in reply.outputs}
    assert outputs.keys() == (expected.keys() if len(expected) > 1 else set())
    for name, output in outputs.items():
        dtype = {"FP32": "<f4", "INT64": "<i8"}[output.datatype]
        found = np.frombuffer(output.values, dtype).reshape(output.shape)
        assert found == near(expected[name])


def near(value: Any) -> Any:
    return pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE)


MEMBERS = ("web", "shop", "phone")


def one_hot_texts(names: Sequence[str]) -> tuple[Any, bytes, DeclaredSignature]:
    """A scikit-learn pipeline over a text and two numbers, trained on a table of texts; and its graph."""
    channels = np.array([*MEMBERS, "fax"], object)[GENERATOR.integers(0, 4, 240)]
    table = pd.DataFrame({"channel": channels, "orders_1h": ROWS[:, 0], "basket": ROWS[:, 5]})
    encoder = ColumnTransformer(
        [("channel", OneHotEncoder(handle_unknown="ignore"), ["channel"])], remainder="passthrough"
    )
    model = make_pipeline(encoder, LogisticRegression(max_iter=500))
    model.fit(table, (table["basket"] > np.where(channels == "web", 5, 15)).astype(int))
    columns = ("orders_1h", "channel", "basket")
    inputs = tuple(
        GraphInput(name=column, features=(name,)) for column, name in zip(columns, names, strict=True)
    )
    signature = signed(
        "binary",
        "probabilities",
        inputs=inputs,
        outputs=("probabilities",),
        vocabularies={"channel": Vocabulary(members=MEMBERS, unknown="fax")},
    )
    kinds = [
        (column, (StringTensorType if column == "channel" else FloatTensorType)([None, 1]))
        for column in columns
    ]
    graph = to_onnx(model, initial_types=kinds, options={"zipmap": False}, target_opset=18)
    return model, graph.SerializeToString(), signature


@pytest.mark.parametrize("channel", [*MEMBERS, "fax", "pigeon"])
async def test_a_pipeline_that_reads_texts_is_served_as_it_predicts(plane: DataPlane, channel: str) -> None:
    names = plane.stock.project.contract("by-channel").feature_names
    model, graph, signature = one_hot_texts(names)
    vectors = np.array([[0, 0, 3.5], [2, 1, 16], [1, 2, 4], [0, -1, 12]], np.float32)
    version = plane.stock.graph_version(graph, signature, vectors, model="by-channel")
    await follow(plane, plane.stock.route(version, model="by-channel"))

    for basket in BASKETS:
        context = {"channel": Value(text=channel), "basket": Value(number=basket)}
        reply = await asked(plane, question(model="by-channel", context=context))

        known = channel if channel in MEMBERS else "fax"
        orders, _, served_basket = (feature.value for feature in reply.features)
        row = pd.DataFrame({"channel": [known], "orders_1h": [orders], "basket": [served_basket]})
        assert reply.score == near(model.predict_proba(row)[0, 1])
