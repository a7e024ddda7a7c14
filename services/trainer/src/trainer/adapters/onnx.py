"""A scikit-learn classifier or regressor as an ONNX graph that computes the same."""

import copy
import warnings
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# Pinned, so that an upgrade of the converter alone does not change what is produced or which runtimes read
# it.
_OPSETS: Final = {"": 18, "ai.onnx.ml": 3}
_NAME: Final = "tidemark"


def convert(model: Any, width: int) -> bytes:
    """The graph: one float32 input [n, width]; `probabilities` [n, classes], or `variable` [n, 1].

    Equal models give equal bytes.
    """
    # scikit-learn and the converter take seconds to import: not before there is something to convert.
    from skl2onnx import to_onnx  # noqa: PLC0415

    exact = _with_float32_thresholds(model)
    example = np.zeros((1, width), np.float32)
    options = {id(exact): {"zipmap": False}} if hasattr(exact, "predict_proba") else None
    with warnings.catch_warnings():
        # skl2onnx hands booleans to protobuf where it wants ints, which protobuf announces to refuse one day.
        warnings.simplefilter("ignore", DeprecationWarning)
        graph = to_onnx(exact, example, name=_NAME, options=options, target_opset=_OPSETS)
    data: bytes = graph.SerializeToString(deterministic=True)
    return data


def _with_float32_thresholds(model: Any) -> Any:
    """A copy whose thresholds are float32 numbers, and which decides alike for every float32 vector.

    Histogram gradient boosting compares with float64 thresholds; ONNX rounds them to float32, to either
    side, and a value that lies next to one can change branch. Rounding down cannot: for a float32 x, x <= t
    exactly where x <= the greatest float32 that is <= t.
    """
    if not hasattr(model, "_predictors"):
        return model
    exact = copy.deepcopy(model)
    for trees in exact._predictors:  # noqa: SLF001 - scikit-learn offers no other way to its trees
        for tree in trees:
            tree.nodes["num_threshold"] = _rounded_down(tree.nodes["num_threshold"])
    return exact


def _rounded_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    nearest = thresholds.astype(np.float32)
    above = nearest.astype(np.float64) > thresholds
    return np.where(above, np.nextafter(nearest, np.float32(-np.inf)), nearest)
