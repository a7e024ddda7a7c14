"""Outputs beside the score are columns of their type, lists where they have axes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from batch_scoring.model_outputs import columns_of, fields_of
from model_package import TensorSpec

SPECS = (
    TensorSpec("label", "BYTES", ()),
    TensorSpec("probabilities", "FP32", (3,)),
    TensorSpec("grid", "INT64", (2, -1)),
    TensorSpec("sure", "BOOL", ()),
)


def test_each_output_is_a_column() -> None:
    named = {
        "label": np.array(["cat", "dog"], object),
        "probabilities": np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]], np.float32),
        "grid": np.arange(8).reshape(2, 2, 2),
        "sure": np.array([True, False]),
    }
    table = pa.table(columns_of(SPECS, named), schema=pa.schema(fields_of(SPECS)))
    assert table.schema.types == [
        pa.string(),
        pa.list_(pa.float32()),
        pa.list_(pa.list_(pa.int64())),
        pa.bool_(),
    ]
    assert table.to_pylist()[1] == {
        "output.label": "dog",
        "output.probabilities": [0.125, 0.75, 0.125],
        "output.grid": [[4, 5], [6, 7]],
        "output.sure": False,
    }
