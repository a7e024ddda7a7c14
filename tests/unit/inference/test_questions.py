"""Questions of the Open Inference Protocol are read at a cost that their size bounds."""

import tracemalloc

import numpy as np
import pytest
from feature_store import load_project
from inference.domain.errors import InvalidRequest
from inference.domain.questions import Inference, Receipt, read
from inference.domain.tensors import Tensor, tensor_of
from inference_kit.stock import MODEL, NOW_US, PROJECT

ROWS = 1000
MIB = 2**20


def refused(*tensors: Tensor, **parameters: float) -> tuple[str, int]:
    """What is said of a request, and how much memory it took to say so."""
    contract = load_project(PROJECT).contract(MODEL)
    named = {f"context.{name}": value for name, value in parameters.items()}
    inference = Inference(MODEL, "", "", named, tensors, [])
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest) as caught:
            read(inference, contract, {"features"}, Receipt(NOW_US, "id", None))
        return str(caught.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_many_names_of_many_rows_are_refused_before_they_are_laid_out() -> None:
    keys = tensor_of("entity.user", np.array([b"ann"] * ROWS, object), "BYTES")
    said, peak_bytes = refused(keys, **{f"n{number}": 1.0 for number in range(5000)})
    assert said == "context: has 5000 entries, at most 64 are read"
    assert peak_bytes < 8 * MIB


def test_a_long_name_of_many_rows_is_refused_before_it_is_repeated() -> None:
    long = tensor_of("entity." + "n" * 100_000, np.array([b"ann"] * ROWS, object), "BYTES")
    said, peak_bytes = refused(long)
    assert said == "entities: has a name that is longer than 128 bytes"
    assert peak_bytes < 8 * MIB
