"""What somebody who knows Triton does with a plane: `python newcomer.py GRPC REST MODEL`; prints what it got.

A process of its own: the client brings the same contract in a file of another name, and a process has one.
"""

import json
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

WIDTH = 7
USERS = ("ann", "nobody", "bob")


def newcomer(triton: Any, url: str, model: str) -> dict[str, Any]:
    """Everything a first session tries."""
    with triton.InferenceServerClient(url) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(model)
        assert not client.is_model_ready("unheard-of")
        return {
            "server": _plain(client.get_server_metadata())["name"],
            "inputs": [one["name"] for one in _plain(client.get_model_metadata(model))["inputs"]],
            "given": _given(triton, client, model),
            "looked_up": _looked_up(triton, client, model),
            "refused": _refused(triton, client, model),
        }


def compressing(url: str, model: str) -> list[Any]:
    """What is answered to bodies that come compressed, over REST alone."""
    with triton_http.InferenceServerClient(url) as client:
        return [
            _given(triton_http, client, model, request_compression_algorithm=one)
            for one in ("gzip", "deflate")
        ]


def _plain(metadata: Any) -> Any:
    if isinstance(metadata, dict):
        return metadata
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415

    return MessageToDict(metadata)


def _given(triton: Any, client: Any, model: str, **compression: str) -> Any:
    vectors = np.arange(2 * WIDTH, dtype=np.float32).reshape(2, WIDTH) / 10
    features = triton.InferInput("features", vectors.shape, "FP32")
    features.set_data_from_numpy(vectors)
    result = client.infer(model, [features], **compression)
    return result.as_numpy("score").tolist()


def _looked_up(triton: Any, client: Any, model: str) -> Any:
    columns = {
        "entity.user": np.array([user.encode() for user in USERS], object),
        "entity.item": np.array([b"tea"] * 3, object),
        "context.asked_at": np.full(3, int(datetime(2013, 4, 3, 14, 40, tzinfo=UTC).timestamp() * 1e6)),
        "context.gift": np.array([True, False, True]),
        "context.basket": np.array([1.5, 2.5, 3.5], np.float32),
        "context.channel": np.array([b"web"] * 3, object),
        "request_time": np.array([b"2013-04-03T14:40:00Z"] * 3, object),
    }
    inputs = []
    for name, column in columns.items():
        inputs.append(triton.InferInput(name, column.shape, _DATATYPES[column.dtype.char]))
        inputs[-1].set_data_from_numpy(column)
    outputs = [triton.InferRequestedOutput(name) for name in ("score", "prediction_ids", "feature_statuses")]
    result = client.infer(model, inputs, outputs=outputs, request_id="newcomer")
    return {
        "scores": result.as_numpy("score").tolist(),
        "ids": [one.decode() for one in result.as_numpy("prediction_ids").tolist()],
        "statuses": result.as_numpy("feature_statuses").tolist(),
    }


_DATATYPES = {"O": "BYTES", "l": "INT64", "?": "BOOL", "f": "FP32"}


def _refused(triton: Any, client: Any, model: str) -> str:
    features = triton.InferInput("features", (1, 3), "FP32")
    features.set_data_from_numpy(np.zeros((1, 3), np.float32))
    try:
        client.infer(model, [features])
    except triton.InferenceServerException as error:
        return str(error.message())
    return ""


if __name__ == "__main__":
    _, grpc_url, rest_url, model = sys.argv
    sessions = (newcomer(triton_grpc, grpc_url, model), newcomer(triton_http, rest_url, model))
    print(json.dumps((*sessions, compressing(rest_url, model))))  # noqa: T201 - the test reads it
