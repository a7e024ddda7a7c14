"""Asking a plane over the Open Inference Protocol."""

from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np
import pytest
from bus.times import format_rfc3339
from open_inference.v2 import open_inference_grpc_pb2 as pb
from open_inference.v2.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub

from inference_kit.planes import DataPlane
from inference_kit.stock import MODEL, NOW_US

FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}
FEATURES = (
    "user_orders.orders_1h",
    "user_orders.mean_amount_24h",
    "item_orders.last_amount_24h",
    "asked_hour",
    "is_gift",
    "basket",
    "is_web",
)


def parameter(value: Any) -> pb.InferParameter:
    match value:
        case bool():
            return pb.InferParameter(bool_param=value)
        case int():
            return pb.InferParameter(int64_param=value)
        case float():
            return pb.InferParameter(double_param=value)
        case _:
            return pb.InferParameter(string_param=value)


def parameters(**values: Any) -> dict[str, pb.InferParameter]:
    return {name.replace("__", "."): parameter(value) for name, value in values.items()}


def of_ann(**changes: Any) -> dict[str, pb.InferParameter]:
    asked = {
        "entity__user": "ann",
        "entity__item": "tea",
        "context__asked_at": NOW_US,
        "context__gift": True,
        "context__basket": 3.5,
        "context__channel": "web",
        "request_time": format_rfc3339(NOW_US),
    }
    return parameters(**{**asked, **changes})


def typed(name: str, datatype: str, shape: Sequence[int], **contents: Any) -> Any:
    return pb.ModelInferRequest.InferInputTensor(
        name=name, datatype=datatype, shape=shape, contents=pb.InferTensorContents(**contents)
    )


def matrix(vectors: np.ndarray[Any, Any], name: str = "features", datatype: str = "FP32") -> Any:
    return typed(name, datatype, vectors.shape, **{FIELDS[datatype]: vectors.ravel().tolist()})


async def infer(plane: DataPlane, **fields: Any) -> pb.ModelInferResponse:
    request = pb.ModelInferRequest(**{"model_name": MODEL, **fields})
    response: pb.ModelInferResponse = await GRPCInferenceServiceStub(plane.channel).ModelInfer(request)
    return response


async def refused(plane: DataPlane, code: grpc.StatusCode, says: str, **fields: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await infer(plane, **fields)
    assert caught.value.code() is code, caught.value.details()
    assert says in (caught.value.details() or "")


def scores_of(response: pb.ModelInferResponse) -> list[float]:
    (found,) = [output for output in response.outputs if output.name == "score"]
    assert found.datatype == "FP64"
    scores = list(found.contents.fp64_contents)
    assert list(found.shape) == [len(scores)]
    return scores


def bare(name: str, datatype: str, *shape: int) -> Any:
    return pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)


def wanted(name: str) -> Any:
    return pb.ModelInferRequest.InferRequestedOutputTensor(name=name)
