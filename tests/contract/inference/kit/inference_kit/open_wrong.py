"""Requests of the Open Inference Protocol that are wrong, and what must be said of each."""

from typing import Any

import numpy as np

from inference_kit.open_inference import bare, matrix, of_ann, parameter, typed, wanted

ZERO = matrix(np.zeros((1, 7), np.float32))
NAN = np.zeros((2, 7), np.float32)
NAN[1, 5] = np.nan


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model_name": ""}, "model_name"),
    ({"model_name": "m" * 129}, "model_name"),
    ({}, "entities[user]: is missing"),
    ({"parameters": of_ann(entity__user=3)}, "parameters[entity.user]: must be a text"),
    ({"parameters": of_ann(context__gift=1)}, "parameters[context.gift]: must be a flag"),
    ({"parameters": of_ann(context__basket="3")}, "parameters[context.basket]: must be a number"),
    ({"parameters": of_ann(context__basket=2**53 + 1)}, "no double is equal"),
    ({"parameters": of_ann(context__basket=float("inf"))}, "context[basket]: must be a finite number"),
    ({"parameters": of_ann(context__channel=True)}, "parameters[context.channel]: must be a text"),
    ({"parameters": of_ann(context__asked_at="noon")}, "parameters[context.asked_at]: is no time"),
    ({"parameters": of_ann(context__asked_at=1.5)}, "parameters[context.asked_at]: must be a time"),
    ({"parameters": of_ann(context__asked_at=-1)}, "context[asked_at]: must be a time"),
    ({"parameters": of_ann(request_time="2013-04-03")}, "parameters[request_time]: is no time"),
    ({"parameters": of_ann(request_time=-1)}, "request_time"),
    ({"parameters": of_ann(request_key=1)}, "parameters[request_key]"),
    ({"parameters": of_ann(timeout="soon")}, "parameters[timeout]"),
    ({"parameters": of_ann(timeout=-1)}, "parameters[timeout]"),
    ({"parameters": of_ann(feature_statuses="yes")}, "parameters[feature_statuses]"),
    ({"parameters": of_ann(), "id": "i" * 129}, "id: is longer than 128 bytes"),
    ({"inputs": [matrix(np.zeros((11, 7)))], "id": "i" * 126}, "id: is longer than 128 bytes with the row"),
    ({"inputs": [typed("\U0001f980" * 4_000, "FP32", [1], fp32_contents=[0])]}, "is nothing"),
    ({"inputs": [typed("features", "F" * 400_000, [1, 7])]}, "must be one of BOOL"),
    ({"inputs": [ZERO], "outputs": [wanted("o" * 400_000)]}, "is unknown"),
    (
        {"parameters": {"context." + "c" * 400_000: parameter(2**53 + 1)}},
        "context: has a name that is longer",
    ),
    ({"parameters": of_ann(request_time="9" * 400_000)}, "parameters[request_time]: is no time"),
    ({"inputs": [ZERO], "parameters": of_ann()}, "give one or the other"),
    ({"inputs": [ZERO, ZERO]}, "inputs[features]: is there twice"),
    ({"inputs": [ZERO, typed("basket", "FP32", [1], fp32_contents=[0])]}, "inputs[basket]: is beside"),
    ({"inputs": [typed("basket", "FP32", [1], fp32_contents=[0])]}, "inputs: lack user_orders.orders_1h"),
    ({"inputs": [typed("bascet", "FP32", [1], fp32_contents=[0])]}, "inputs[bascet]: is nothing"),
    ({"inputs": [typed("features", "BYTES", [1, 7], bytes_contents=[b""] * 7)]}, "features are numbers"),
    ({"inputs": [matrix(np.zeros((1, 6)))]}, "inputs[features].shape: is [1, 6], must be [n, 7]"),
    ({"inputs": [matrix(np.zeros(7))]}, "inputs[features].shape: is [7], must be [n, 7]"),
    ({"inputs": [matrix(np.zeros((0, 7)))]}, "inputs[features].shape: has 0 rows"),
    ({"inputs": [matrix(np.zeros((1001, 7)))]}, "inputs[features].shape: has 1001 rows"),
    ({"inputs": [typed("features", "FP32", [1, 1, 7], fp32_contents=[0] * 7)]}, "must be [rows]"),
    ({"inputs": [typed("features", "FP32", [], fp32_contents=[0])]}, "must be [rows]"),
    ({"inputs": [typed("features", "FP32", [-1, 7])]}, "must be [rows]"),
    ({"inputs": [typed("features", "FP32", [2**62, 2**62])]}, "must be [rows]"),
    ({"inputs": [typed("features", "FP32", [2, 7], fp32_contents=[0] * 13)]}, "has 13 elements"),
    ({"inputs": [typed("features", "FP32", [1, 7], fp64_contents=[0] * 7)]}, "fp64_contents: is not"),
    ({"inputs": [typed("features", "INT8", [1, 7], int_contents=[300] * 7)]}, "is no INT8"),
    ({"inputs": [typed("features", "BF16", [1, 7])]}, "datatype: is 'BF16', must be one of"),
    ({"inputs": [typed("features", "fp32", [1, 7])]}, "datatype: is 'fp32'"),
    ({"inputs": [typed("features", "FP16", [1, 7])]}, "raw_input_contents only"),
    ({"inputs": [matrix(NAN)]}, "inputs[features][1, 5]"),
    ({"inputs": [matrix(np.full((1, 7), np.inf))]}, "inputs[features][0, 0]"),
    ({"inputs": [matrix(np.full((1, 7), 1e39), datatype="FP64")]}, "inputs[features][0, 0]"),
    ({"inputs": [ZERO], "raw_input_contents": [b""]}, "use one of them"),
    ({"inputs": [ZERO], "raw_input_contents": [b"", b""]}, "has 2 entries for 1 inputs"),
    ({"raw_input_contents": [b""]}, "has 1 entries for 0 inputs"),
    ({"inputs": [ZERO], "outputs": [wanted("label")]}, "outputs[label]: is unknown"),
    ({"inputs": [ZERO], "outputs": [wanted("score")] * 2}, "outputs: name an output twice"),
]
"""Fields of a request, and a part of the complaint."""

WRONG_RAW: list[tuple[list[Any], list[bytes], str]] = [
    ([bare("features", "FP32", 1, 7)], [bytes(27)], "has 27 raw bytes"),
    ([bare("entity.user", "BYTES", 1)], [b"\4\0\0\0ann"], "ends within element 0"),
    ([bare("entity.user", "BYTES", 1)], [b"\4\0"], "ends within element 0"),
    ([bare("entity.user", "BYTES", 1)], [b"\xff\xff\xff\xffann"], "ends within element 0"),
    ([bare("entity.user", "BYTES", 2)], [b"\3\0\0\0ann"], "has 1 raw elements"),
    ([bare("entity.user", "BYTES", 1)], [b"\1\0\0\0\xff"], "inputs[entity.user][0]: is no UTF-8"),
    ([bare("entity.user", "INT8", 1)], [b"\1"], "inputs[entity.user][0]: must be a text"),
    ([bare("entity.user", "BYTES", 1, 2)], [b"\0\0\0\0\0\0\0\0"], "must be [n] or [n, 1]"),
    (
        [bare("entity.user", "BYTES", 1), bare("context.basket", "INT8", 2)],
        [b"\0\0\0\0", b"\0\0"],
        "inputs[context.basket].shape: has 2 rows, inputs[entity.user] has 1",
    ),
    ([bare("entity.item", "BYTES", 1)], [b"\0\0\0\0"], "parameters[entity.item]: is given as a tensor"),
]
"""Inputs and their raw contents, and a part of the complaint."""
