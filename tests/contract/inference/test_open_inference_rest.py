"""What a data plane must do with the Open Inference Protocol, over REST: docs/open-inference.md."""

import gzip
import io
import json
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from inference_kit.asking import prediction, score
from inference_kit.planes import DataPlane, follow, is_serving
from inference_kit.poisons import log_of_basket
from inference_kit.starting import QUICKEST, StartPlane
from inference_kit.stock import MODEL, NOW_US, STRICT_MODEL, question
from local_stack.ports import choose
from tidemark.registry.v1.route_pb2 import VersionRef

pytestmark = pytest.mark.plane

WIDTH = 7
OF_ANN = {
    "entity.user": "ann",
    "entity.item": "tea",
    "context.asked_at": "2013-04-03T14:40:00Z",
    "context.gift": True,
    "context.basket": 3.5,
    "context.channel": "web",
    "request_time": NOW_US,
}


class Rest:
    """A plane, asked over REST."""

    def __init__(self, plane: DataPlane, session: aiohttp.ClientSession, version: VersionRef) -> None:
        self.plane = plane
        self.session = session
        self.version = version.version

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(path) as answer:
            return answer.status, await answer.json()

    async def infer(self, body: Any, *, path: str = f"/v2/models/{MODEL}/infer", **headers: str) -> Any:
        """The answer, which must be one."""
        status, found = await self.post(body, path=path, **headers)
        assert status == 200, found
        return found

    async def post(
        self, body: Any, *, path: str = f"/v2/models/{MODEL}/infer", **headers: str
    ) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(path, data=io.BytesIO(data), headers=named) as answer:
            return answer.status, await answer.json()

    async def refused(self, status: int, says: str, body: Any, **kwargs: Any) -> None:
        found, answer = await self.post(body, **kwargs)
        assert (found, list(answer)) == (status, ["error"]), answer
        assert says in answer["error"]


@pytest.fixture(scope="module", params=QUICKEST)
async def rest(
    request: pytest.FixtureRequest, start_plane: StartPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rest]:
    (port,) = choose(1, seed=str(tmp_path_factory.getbasetemp()))
    async with (
        start_plane(request.param, rest_port=port) as plane,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        version = plane.stock.version()
        await follow(plane, plane.stock.route(version))
        await is_serving(plane)
        yield Rest(plane, session, version)


def matrix(data: Any, datatype: str = "FP32", shape: Any = (2, WIDTH)) -> dict[str, Any]:
    return {"inputs": [{"name": "features", "datatype": datatype, "shape": shape, "data": data}]}


async def test_it_says_what_it_is_and_that_it_is_ready(rest: Rest) -> None:
    status, server = await rest.get("/v2")
    assert (status, server["name"]) == (200, "tidemark-inference")
    assert server["version"]
    assert server["extensions"] == ["binary_tensor_data"]
    for path in ("health/live", "health/ready", f"models/{MODEL}/ready"):
        assert (await rest.get(f"/v2/{path}"))[0] == 200
    assert (await rest.get(f"/v2/models/{MODEL}/versions/{rest.version}/ready"))[0] == 200
    assert (await rest.get("/v2/models/unheard-of/ready"))[0] == 404
    assert (await rest.get(f"/v2/models/{MODEL}/versions/no/ready"))[0] == 404
    assert (await rest.get("/v2/"))[1] == server
    ready = {"name": MODEL, "ready": True}
    assert (await rest.get(f"/v2/models/{MODEL}/ready")) == (200, ready)
    assert (await rest.get(f"/v2/models/{MODEL}/versions/{rest.version}/ready")) == (200, ready)


async def test_probes_may_ask_with_head(rest: Rest) -> None:
    for path, status in (("/v2", 200), ("/v2/health/ready", 200), ("/v2/models/unheard-of/ready", 404)):
        async with rest.session.head(path) as answer:
            assert (answer.status, await answer.read()) == (status, b"")
            assert answer.headers["Content-Type"] == "application/json"
    async with rest.session.head(f"/v2/models/{MODEL}/infer") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_metadata_name_what_a_model_reads_and_gives(rest: Rest) -> None:
    status, model = await rest.get(f"/v2/models/{MODEL}")
    assert status == 200
    assert (model["name"], model["platform"]) == (MODEL, "onnx_onnxv1")
    assert rest.version in model["versions"]
    assert {tensor["name"]: (tensor["datatype"], tensor["shape"]) for tensor in model["inputs"]} == {
        "entity.user": ("BYTES", [-1]),
        "entity.item": ("BYTES", [-1]),
        "context.asked_at": ("INT64", [-1]),
        "context.gift": ("BOOL", [-1]),
        "context.basket": ("FP64", [-1]),
        "context.channel": ("BYTES", [-1]),
        "features": ("FP32", [-1, WIDTH]),
    }
    assert model["outputs"] == [{"name": "score", "datatype": "FP64", "shape": [-1]}]
    assert len(json.loads(model["properties"]["feature_names"])) == WIDTH
    assert (await rest.get(f"/v2/models/{MODEL}/versions/{rest.version}"))[1] == model


async def test_it_answers_as_score_does_and_records_it(rest: Rest) -> None:
    reply = await score(rest.plane, question("ann", "tea"))
    answer = await rest.infer({"id": "rest-1", "parameters": OF_ANN})
    assert answer == {
        "model_name": MODEL,
        "model_version": rest.version,
        "id": "rest-1",
        "parameters": {"prediction_id": "rest-1", "version": rest.version, "variant": "champion"},
        "outputs": [{"name": "score", "datatype": "FP64", "shape": [1], "data": [reply.score]}],
    }
    _, made = await prediction(rest.plane, "rest-1")
    assert (made.score, dict(made.entities)) == (reply.score, {"user": "ann", "item": "tea"})


async def test_data_may_be_flat_or_nested(rest: Rest) -> None:
    rows = [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [0.5] * WIDTH]
    nested = await rest.infer(matrix(rows))
    flat = await rest.infer(matrix([*rows[0], *rows[1]]))
    assert nested["outputs"] == flat["outputs"]
    assert "id" not in nested
    assert nested["parameters"]["prediction_id"] != flat["parameters"]["prediction_id"]


async def test_tensors_may_follow_as_bytes_and_be_answered_so(rest: Rest) -> None:
    vectors = np.arange(2 * WIDTH, dtype="<f4").reshape(2, WIDTH)
    plain = await rest.infer(matrix(vectors.tolist()))
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "features",
                    "datatype": "FP32",
                    "shape": [2, WIDTH],
                    "parameters": {"binary_data_size": vectors.nbytes},
                }
            ],
            "outputs": [{"name": "score", "parameters": {"binary_data": True}}, {"name": "variants"}],
        }
    ).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    async with rest.session.post(
        f"/v2/models/{MODEL}/infer", data=head + vectors.tobytes(), headers=headers
    ) as answer:
        assert answer.status == 200, await answer.text()
        size = int(answer.headers["Inference-Header-Content-Length"])
        body = await answer.read()
    found = json.loads(body[:size])
    assert found["outputs"][0] == {
        "name": "score",
        "datatype": "FP64",
        "shape": [2],
        "parameters": {"binary_data_size": 16},
    }
    assert np.frombuffer(body[size:], "<f8").tolist() == plain["outputs"][0]["data"]
    assert found["outputs"][1]["data"] == ["champion", "champion"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"[" * 100_000, "body"),
        (b'{"inputs": [], "id": ' + b"9" * 1_000_000 + b"}", "id"),
        ({"inputs": {}}, "inputs"),
        ({"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 7]}]}, "inputs[features].data"),
        ({"parameters": {"entity.user": ["ann"]}}, "parameters[entity.user]: must be a text"),
        ({"parameters": {"timeout": -(10**4000)}}, "parameters[timeout]: is negative"),
        (matrix([1], shape=[1.5, 7]), "inputs[0].shape[0]: "),
        ({"parameters": {}}, "entities[user]: is missing"),
        (matrix([[1.0] * 6] * 2), "nested"),
        (matrix([[1.0] * 7]), "has 7 elements, its shape [2, 7] needs 14"),
        (matrix([[1.0] * 7, 5]), "nested"),
        (matrix([[["x"]] * 7] * 2), "holds a list"),
        (matrix([[None] * 7] * 2), "holds null"),
        (matrix([["a"] * 7] * 2), "holds a text"),
        (matrix([[True] * 7] * 2), "holds true or false"),
        (matrix([[1.5] * 7] * 2, "INT8"), "a number with a fraction"),
        (matrix([[300] * 7] * 2, "INT8"), "no INT8"),
        (matrix([[10**400] * 7] * 2), "no FP32"),
        (matrix([[1e39] * 7] * 2, "FP64"), "inputs[features][0, 0]"),
        (matrix([], shape=[0, 7]), "has 0 rows"),
        (matrix([], shape=[]), "must be [rows] or [rows, width]"),
        (matrix([1], shape=[1] * 100_000), "must be [rows] or [rows, width]"),
        (matrix([1], shape=[10**30, 7]), "must be [rows] or [rows, width]"),
        (matrix([1], "BF16"), "datatype"),
    ],
)
async def test_what_is_wrong_is_400_and_named(rest: Rest, body: Any, says: str) -> None:
    await rest.refused(400, says, body)


async def test_what_is_null_is_left_out(rest: Rest) -> None:
    """MLServer's own types, written out as its documentation shows, are full of them."""
    nothing = {"content_type": "np", "headers": None}
    body = matrix([[0.5] * WIDTH] * 2)
    body["inputs"][0]["parameters"] = nothing
    plain = await rest.infer(matrix([[0.5] * WIDTH] * 2))
    found = await rest.infer({**body, "id": None, "parameters": nothing, "outputs": None})
    assert found["outputs"] == plain["outputs"]
    assert "id" not in found
    looked_up = {"id": "null-inputs", "parameters": {**OF_ANN, "request_key": None}, "inputs": None}
    assert (await rest.infer(looked_up))["id"] == "null-inputs"


async def test_a_time_without_end_is_waited_for(rest: Rest) -> None:
    await rest.infer({"parameters": {**OF_ANN, "timeout": 10**4000}})


async def test_a_trace_that_is_none_goes_nowhere(rest: Rest) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await rest.infer({"parameters": OF_ANN, "id": "traced"}, traceparent=trace)
    await rest.infer({"parameters": OF_ANN, "id": "not-traced"}, traceparent="x" * 3000)
    assert (await prediction(rest.plane, "traced"))[0].traceparent == trace
    assert (await prediction(rest.plane, "not-traced"))[0].traceparent is None


async def test_nan_is_refused_by_its_place(rest: Rest) -> None:
    body = json.dumps(matrix([[0.0] * 7, [0.0, float("nan"), *[0.0] * 5]])).encode()
    await rest.refused(400, "inputs[features][1, 1]", body)


async def test_bytes_that_do_not_add_up_are_400(rest: Rest) -> None:
    head = json.dumps({"inputs": [], "parameters": OF_ANN}).encode()
    length = str(len(head))
    await rest.refused(400, "bytes that no input names", head + b"x", Inference_Header_Content_Length=length)
    await rest.refused(400, "the body has", head, Inference_Header_Content_Length="9999")
    await rest.refused(400, "count of bytes", head, Inference_Header_Content_Length="-1")
    named = {"name": "features", "datatype": "FP32", "shape": [1, 7], "parameters": {"binary_data_size": 28}}
    await rest.refused(400, "0 bytes are left", {"inputs": [named]})


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
async def test_a_body_may_come_compressed(
    rest: Rest, coding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = matrix([[0.5] * WIDTH] * 2)
    plain = await rest.infer(body)
    found = await rest.infer(compress(json.dumps(body).encode()), Content_Encoding=coding)
    assert found["outputs"] == plain["outputs"]


@pytest.mark.parametrize(
    ("status", "says", "body"),
    [
        (400, "which the body is not", b"{}"),
        (400, "ends before its end", gzip.compress(b"{}" * 1000)[:-4]),
        (400, "ends before its end", b""),
        (400, "goes on behind its end", gzip.compress(b"{}") + b"{}"),
        (413, "larger", gzip.compress(b" " * (64 << 20))),
        (413, "larger", b"\x1f\x8b\x08" + bytes(7) + b"\x00\x00\x00\xff\xff" * (1 << 20)),
    ],
    ids=["none", "cut short", "empty", "more than one", "a bomb", "blocks of nothing"],
)
async def test_a_compressed_body_is_whole_and_bounded(
    rest: Rest, status: int, says: str, body: bytes
) -> None:
    await rest.refused(status, says, body, Content_Encoding="gzip")
    await rest.infer({"parameters": OF_ANN})


async def test_errors_have_the_statuses_of_their_kind(rest: Rest) -> None:
    await rest.refused(404, "no route", {"parameters": OF_ANN}, path="/v2/models/unheard-of/infer")
    await rest.refused(
        404, "no version", {"parameters": OF_ANN}, path=f"/v2/models/{MODEL}/versions/none/infer"
    )
    await rest.refused(404, "Not Found", {}, path="/v2/nothing")
    await rest.refused(405, "Method Not Allowed", {}, path="/v2/health/live")
    for excess in (1, 6 << 20):
        await rest.refused(413, "larger", b"x" * ((4 << 20) + excess))
    await rest.refused(415, "Content-Encoding", b"x", Content_Encoding="br")
    await rest.refused(504, "deadline", {"parameters": {**OF_ANN, "timeout": 1}})


async def test_who_is_to_ask_again_later_is_told_when(rest: Rest, tmp_path: Path) -> None:
    stock = rest.plane.stock
    poisoned = log_of_basket(tmp_path, stock, STRICT_MODEL)
    await follow(rest.plane, stock.route(poisoned, model=STRICT_MODEL))
    path = f"/v2/models/{STRICT_MODEL}/infer"
    body = {"parameters": {**OF_ANN, "context.basket": -1.0}}
    for _ in range(10):
        await rest.refused(500, "finite number", body, path=path)
    async with rest.session.post(path, json=body) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert "VERSION_FAILING" in (await answer.json())["error"]


async def test_a_version_that_is_warm_answers_by_its_name(rest: Rest) -> None:
    path = f"/v2/models/{MODEL}/versions/{rest.version}/infer"
    answer = await rest.infer({"parameters": OF_ANN, "id": "named"}, path=path)
    assert answer["parameters"]["variant"] == "pinned"
    assert (await prediction(rest.plane, "named"))[1].variant == "pinned"


async def test_it_describes_itself(rest: Rest) -> None:
    status, document = await rest.get("/openapi.json")
    assert status == 200
    assert document["openapi"].startswith("3.1")
    text = json.dumps(document)
    for name in document["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in text
    assert "$defs" not in text
    assert "422" not in document["paths"]["/v2/models/{model}/infer"]["post"]["responses"]


async def test_who_stops_says_so_first_and_answers_meanwhile(start_one: StartPlane) -> None:
    (port,) = choose(1, seed=f"{__file__} stops")
    async with (
        start_one(rest_port=port, drain_seconds=2) as plane,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        version = plane.stock.version()
        await follow(plane, plane.stock.route(version))
        await is_serving(plane)
        rest = Rest(plane, session, version)
        assert (await rest.get("/v2/health/ready"))[0] == 200
        plane.stop()
        assert await rest.get("/v2/health/ready") == (503, {"ready": False})
        status, why = await rest.get(f"/v2/models/{MODEL}/ready")
        assert (status, "this server stops" in why["error"]) == (503, True)
        async with session.post(f"/v2/models/{MODEL}/infer", json={"parameters": OF_ANN}) as answer:
            # Who keeps connections open opens the next one elsewhere.
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
