"""The Open Inference Protocol over gRPC: `inference.GRPCInferenceService`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from open_inference.v2 import open_inference_grpc_pb2 as pb
from open_inference.v2 import open_inference_grpc_pb2_grpc as pb_grpc

from inference.adapters.metadata import traceparent_of
from inference.domain.errors import InvalidRequest
from inference.domain.questions import Inference
from inference.domain.tensors import BOOL, BYTES, from_elements, from_raw, size_of, to_raw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.domain.cells import Cell
    from inference.domain.tensors import Tensor
    from inference.serve.open_inference import Inferred, OpenInference
    from inference.serve.outputs import TensorInfo

SERVICE: Final = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name

_FIELDS: Final[Mapping[str, str]] = {
    BOOL: "bool_contents",
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
    BYTES: "bytes_contents",
}
"""By datatype, where its typed contents stand; FP16 has none."""


class OpenInferenceServicer(pb_grpc.GRPCInferenceServiceServicer):
    """The service on a plane."""

    def __init__(self, plane: OpenInference) -> None:
        self._plane = plane

    async def ServerLive(self, _request: Any, _context: Any) -> pb.ServerLiveResponse:  # noqa: N802 - gRPC's name
        """See the contract."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, _request: Any, _context: Any) -> pb.ServerReadyResponse:  # noqa: N802
        """See the contract."""
        return pb.ServerReadyResponse(ready=self._plane.is_ready())

    async def ModelReady(self, request: pb.ModelReadyRequest, _context: Any) -> pb.ModelReadyResponse:  # noqa: N802
        """See the contract."""
        return pb.ModelReadyResponse(ready=self._plane.is_model_ready(request.name, request.version))

    async def ServerMetadata(self, _request: Any, _context: Any) -> pb.ServerMetadataResponse:  # noqa: N802
        """See the contract."""
        server = self._plane.server()
        return pb.ServerMetadataResponse(
            name=server.name, version=server.version, extensions=server.extensions
        )

    async def ModelMetadata(  # noqa: N802
        self, request: pb.ModelMetadataRequest, _context: Any
    ) -> pb.ModelMetadataResponse:
        """See the contract."""
        model = self._plane.model(request.name, request.version)
        return pb.ModelMetadataResponse(
            name=model.name,
            versions=model.versions,
            platform=model.platform,
            inputs=map(_metadata, model.inputs),
            outputs=map(_metadata, model.outputs),
            properties=model.properties,
        )

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:  # noqa: N802
        """See the contract."""
        inferred = await self._plane.infer(
            inference_of(request), time_left_s=context.time_remaining(), traceparent=traceparent_of(context)
        )
        return response_of(inferred, is_raw=bool(request.raw_input_contents))


def inference_of(request: pb.ModelInferRequest) -> Inference:
    """Read a request.

    Raises:
        InvalidRequest: A tensor's contents are not what its shape and datatype say.
    """
    return Inference(
        model=request.model_name,
        version=request.model_version,
        id=request.id,
        parameters=_cells(request.parameters),
        inputs=_raw_tensors(request) if request.raw_input_contents else list(map(_tensor, request.inputs)),
        outputs=[output.name for output in request.outputs],
    )


def response_of(inferred: Inferred, *, is_raw: bool) -> pb.ModelInferResponse:
    """Write an answer, as raw contents where the request had them."""
    response = pb.ModelInferResponse(
        model_name=inferred.model,
        model_version=inferred.version,
        id=inferred.id,
        parameters={name: pb.InferParameter(string_param=text) for name, text in inferred.parameters.items()},
    )
    for tensor in inferred.outputs:
        output = response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if is_raw:
            response.raw_output_contents.append(to_raw(tensor))
        else:
            getattr(output.contents, _FIELDS[tensor.datatype]).extend(tensor.values.tolist())
    return response


def _tensor(message: pb.ModelInferRequest.InferInputTensor) -> Tensor:
    name, datatype, shape = message.name, message.datatype, list(message.shape)
    size_of(name, datatype, shape)
    field = _FIELDS.get(datatype)
    if field is None:
        raise InvalidRequest(f"inputs[{name}]", f"is {datatype}, which goes in raw_input_contents only")
    for other, _ in message.contents.ListFields():
        if other.name != field:
            raise InvalidRequest(
                f"inputs[{name}].contents.{other.name}", f"is not where {datatype} goes: that is {field}"
            )
    return from_elements(name, datatype, shape, getattr(message.contents, field))


def _raw_tensors(request: pb.ModelInferRequest) -> list[Tensor]:
    raw = request.raw_input_contents
    if len(raw) != len(request.inputs):
        raise InvalidRequest(
            "raw_input_contents", f"has {len(raw)} entries for {len(request.inputs)} inputs: one an input"
        )
    for message in request.inputs:
        if message.HasField("contents"):
            raise InvalidRequest(
                f"inputs[{message.name}].contents", "is there, and raw_input_contents, too: use one of them"
            )
    return [
        from_raw(message.name, message.datatype, list(message.shape), contents)
        for message, contents in zip(request.inputs, raw, strict=True)
    ]


def _cells(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Cell]:
    """Read parameters; one without a value is none."""
    kinds = {name: parameter.WhichOneof("parameter_choice") for name, parameter in parameters.items()}
    return {name: getattr(parameters[name], kind) for name, kind in kinds.items() if kind}


def _metadata(tensor: TensorInfo) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(
        name=tensor.name, datatype=tensor.datatype, shape=tensor.shape
    )
