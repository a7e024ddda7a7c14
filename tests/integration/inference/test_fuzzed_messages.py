"""Any message, well formed or changed, is answered or blamed on its sender, and leaves nothing behind."""

import gc
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inference.domain.tensors import DTYPES, Tensor
from inference.scored import Scored
from inference.serve.tickets import Ticket
from inference_kit.memory import MemoryPlane, memory_plane
from inference_kit.open_inference import FEATURES, bare, matrix, of_ann, typed
from inference_kit.planes import follow
from inference_kit.stock import MODEL, question
from open_inference.v2 import open_inference_grpc_pb2 as pb
from tidemark.scoring.v1.scoring_service_pb2 import ScoreBatchRequest, ScoreRequest

NAMES = [MODEL, "", "features", "entity.user", "entity.item", "request_time", "user", "item", *FEATURES]
FUZZED = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
METHODS = {
    pb.ModelInferRequest: "/inference.GRPCInferenceService/ModelInfer",
    pb.ModelMetadataRequest: "/inference.GRPCInferenceService/ModelMetadata",
    pb.ModelReadyRequest: "/inference.GRPCInferenceService/ModelReady",
    ScoreRequest: "/tidemark.scoring.v1.ScoringService/Score",
    ScoreBatchRequest: "/tidemark.scoring.v1.ScoringService/ScoreBatch",
}
CALLERS_FAULT = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


@pytest.fixture(scope="module")
async def plane(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MemoryPlane]:
    async with memory_plane(tmp_path_factory.mktemp("fuzzed")) as plane:
        await follow(plane, plane.stock.route(plane.stock.version()))
        yield plane


async def status_of(plane: MemoryPlane, method: str, message: bytes) -> grpc.StatusCode:
    try:
        await plane.channel.unary_unary(method)(message)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


_TEXTS = st.one_of(st.sampled_from([*NAMES, *DTYPES]), st.text(max_size=8))
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=32),
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
    FieldDescriptor.TYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.one_of(st.integers(0, 7), st.integers(-(2**63), 2**63 - 1)),
    FieldDescriptor.TYPE_STRING: _TEXTS,
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
}


def messages(of: Descriptor) -> st.SearchStrategy[Message]:
    """Any message of a type, small; names are often those that mean something."""
    kind = GetMessageClass(of)
    fields = {field.name: values_of(field) for field in of.fields}
    return st.fixed_dictionaries({}, optional=fields).map(lambda chosen: kind(**_one_of_each(of, chosen)))


def values_of(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        value = entry.fields_by_name["value"]
        return st.dictionaries(_TEXTS, values_of(value), max_size=3)
    one = _SCALARS[field.type] if entry is None else messages(entry)
    return st.lists(one, max_size=4) if field.is_repeated else one


def _one_of_each(of: Descriptor, chosen: dict[str, Any]) -> dict[str, Any]:
    """Keep one field of each oneof."""
    for group in of.oneofs:
        for field in [field.name for field in group.fields if field.name in chosen][1:]:
            del chosen[field]
    return chosen


@pytest.mark.parametrize("kind", METHODS, ids=lambda kind: kind.__name__)
@FUZZED
@given(data=st.data())
async def test_any_message_is_answered_or_refused_as_the_callers_fault(
    plane: MemoryPlane, kind: Any, data: st.DataObject
) -> None:
    message = data.draw(messages(kind.DESCRIPTOR))
    assert await status_of(plane, METHODS[kind], message.SerializeToString()) in CALLERS_FAULT


def well_formed() -> list[Message]:
    vectors = np.ones((2, 7), np.float32)
    return [
        pb.ModelInferRequest(model_name=MODEL, parameters=of_ann(), id="x"),
        pb.ModelInferRequest(model_name=MODEL, inputs=[matrix(vectors)]),
        pb.ModelInferRequest(
            model_name=MODEL, inputs=[bare("features", "FP32", 2, 7)], raw_input_contents=[vectors.tobytes()]
        ),
        pb.ModelInferRequest(
            model_name=MODEL,
            inputs=[typed("entity.user", "BYTES", [2], bytes_contents=[b"a", b"b"])],
            parameters={name: value for name, value in of_ann().items() if name != "entity.user"},
        ),
        question(),
        ScoreBatchRequest(requests=[question(), question("ann")]),
    ]


@pytest.mark.parametrize("message", well_formed(), ids=lambda message: type(message).__name__)
async def test_a_message_with_bytes_changed_is_answered_or_refused(
    plane: MemoryPlane, message: Message
) -> None:
    rng = np.random.default_rng(6)
    for _ in range(100):
        changed = bytearray(message.SerializeToString())
        for at in rng.integers(0, len(changed), rng.integers(1, 5)):
            changed[at:] = bytes(rng.integers(0, 256, rng.integers(0, 3), np.uint8)) + changed[at + 1 :]
        assert await status_of(plane, METHODS[type(message)], bytes(changed)) in CALLERS_FAULT


async def test_thousands_of_requests_leave_nothing_behind(plane: MemoryPlane) -> None:
    async def some(count: int) -> None:
        for _ in range(count):
            for message in [*well_formed(), pb.ModelInferRequest(model_name=MODEL)]:
                await status_of(plane, METHODS[type(message)], message.SerializeToString())
        await plane.predictions()

    def alive() -> Counter[str]:
        gc.collect()
        kinds = (Ticket, Scored, Tensor)
        return Counter(type(one).__name__ for one in gc.get_objects() if issubclass(type(one), kinds))

    process = psutil.Process()
    await some(50)
    objects, rss = alive(), process.memory_info().rss
    await some(300)
    assert alive() == objects
    # The memory log keeps what was recorded: 2,700 predictions of a kilobyte or so.
    assert process.memory_info().rss - rss < 24 * 1024 * 1024
