"""Tensors of the Open Inference Protocol are read as they were written, and what is no tensor is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from inference.domain.errors import InvalidRequest
from inference.domain.tensors import BOOL, BYTES, DTYPES, from_elements, from_raw, tensor_of, to_raw

SHAPES = arrays.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=5)
NUMBERS = sorted(DTYPES.keys() - {BYTES})


@given(data=st.data(), datatype=st.sampled_from(NUMBERS), shape=SHAPES)
def test_raw_numbers_are_read_as_written(data: st.DataObject, datatype: str, shape: tuple[int, ...]) -> None:
    values = data.draw(arrays.arrays(DTYPES[datatype], shape))
    tensor = tensor_of("x", values, datatype)
    again = from_raw("x", datatype, shape, to_raw(tensor))
    assert again.shape == shape
    assert again.values.tobytes() == values.tobytes()


@given(elements=st.lists(st.binary(max_size=300)))
def test_raw_texts_are_read_as_written(elements: list[bytes]) -> None:
    tensor = from_elements("x", BYTES, [len(elements)], elements)
    assert from_raw("x", BYTES, [len(elements)], to_raw(tensor)).values.tolist() == elements


@given(raw=st.binary(max_size=40), shape=SHAPES, datatype=st.sampled_from(sorted(DTYPES)))
def test_any_bytes_are_a_tensor_of_that_shape_or_refused(
    raw: bytes, shape: tuple[int, ...], datatype: str
) -> None:
    try:
        tensor = from_raw("x", datatype, shape, raw)
    except InvalidRequest:
        return
    assert tensor.values.shape == (np.prod(shape, dtype=int),)
    assert tensor.values.dtype == DTYPES[datatype]


def test_any_byte_but_zero_is_a_true_flag() -> None:
    assert from_raw("x", BOOL, [3], b"\0\1\7").values.tolist() == [False, True, True]


@pytest.mark.parametrize("shape", [[], [-1], [1, 1, 1], [2**31], [2**62, 2**62], [10**400], [1] * 1_000_000])
def test_a_shape_that_no_model_reads_is_refused_at_once(shape: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"inputs\[x\].shape: is .*, must be \[rows\]") as caught:
        from_elements("x", "FP32", shape, [])
    assert len(str(caught.value)) < 200
