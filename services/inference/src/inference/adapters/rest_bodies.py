"""Bodies of the Open Inference Protocol over REST: JSON, and tensors as bytes behind it."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import to_json

from inference.domain.errors import InvalidRequest
from inference.domain.questions import Inference
from inference.domain.tensors import BOOL, BYTES, from_elements, from_raw, size_of, to_raw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.domain.tensors import Tensor
    from inference.serve.open_inference import Inferred

_PARAMETERS: Final = "parameters"
BINARY_SIZE: Final = "binary_data_size"
BINARY: Final = "binary_data"
BINARY_ALL: Final = "binary_data_output"

Parameter = bool | int | float | str


def _known(parameters: Any) -> Any:
    """Leave out parameters that are null: some clients write out what they do not say."""
    if not isinstance(parameters, dict):
        return parameters
    return {name: value for name, value in parameters.items() if value is not None}


Parameters = Annotated[
    dict[str, Parameter], BeforeValidator(_known), Field(description="Flags, numbers and texts by name.")
]
TensorName = Annotated[str, Field(description="As the model's metadata names it.", examples=["features"])]


class _Body(BaseModel):
    # What a later revision of the protocol adds is no error.
    model_config = ConfigDict(strict=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, body: Any) -> Any:
        """Take null for left out, as some clients write it."""
        if not isinstance(body, dict):
            return body
        return {name: value for name, value in body.items() if value is not None}


class InputBody(_Body):
    """A tensor."""

    name: TensorName
    shape: Annotated[list[int], Field(description="Of all its dimensions.", examples=[[2, 7]])]
    datatype: Annotated[str, Field(examples=["FP32"])]
    parameters: Parameters = {}
    data: Annotated[
        list[Any] | None,
        Field(description="Its elements, row-major, flat or nested; left out where they follow as bytes."),
    ] = None


class WantedBody(_Body):
    """An output that is wanted."""

    name: TensorName
    parameters: Parameters = {}


class InferBody(_Body):
    """What is asked."""

    id: Annotated[str, Field(description="Echoed, and the prediction's id.")] = ""
    parameters: Parameters = {}
    inputs: Annotated[
        list[InputBody], Field(description="May be left out where parameters ask for one row.")
    ] = []
    outputs: Annotated[list[WantedBody], Field(description="Those given unasked where there is none.")] = []


class OutputBody(BaseModel):
    """A tensor of the answer."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, int] | None = None
    data: list[Any] | None = None


class InferredBody(BaseModel):
    """What is answered."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: dict[str, str]
    outputs: list[OutputBody]


def read_body(body: bytes, *, model: str, version: str, json_size: int | None) -> tuple[Inference, InferBody]:
    """Read a request.

    Args:
        body: All of it.
        model: Named by the path.
        version: Named by the path; empty for none.
        json_size: How many bytes of the body are JSON; None for all.

    Raises:
        InvalidRequest: It is not as the protocol says.
    """
    end = len(body) if json_size is None else json_size
    if end > len(body):
        raise InvalidRequest("Inference-Header-Content-Length", f"is {end}, the body has {len(body)} bytes")
    try:
        asked = InferBody.model_validate_json(body[:end])
    except ValidationError as error:
        raise _invalid(error) from error
    inference = Inference(
        model=model,
        version=version,
        id=asked.id,
        parameters=asked.parameters,
        inputs=_tensors(asked.inputs, body[end:]),
        outputs=[output.name for output in asked.outputs],
    )
    return inference, asked


def write_body(inferred: Inferred, asked: InferBody) -> tuple[bytes, int | None]:
    """Write an answer.

    Returns:
        The body, and how many bytes of it are JSON; None where all are.
    """
    binary = {output.name: output.parameters.get(BINARY) is True for output in asked.outputs}
    by_default = asked.parameters.get(BINARY_ALL) is True
    outputs: list[OutputBody] = []
    appended: list[bytes] = []
    for tensor in inferred.outputs:
        output = OutputBody(name=tensor.name, datatype=tensor.datatype, shape=list(tensor.shape))
        if binary.get(tensor.name, by_default):
            appended.append(to_raw(tensor))
            output.parameters = {BINARY_SIZE: len(appended[-1])}
        else:
            output.data = _elements(tensor)
        outputs.append(output)
    answer = InferredBody(
        model_name=inferred.model,
        model_version=inferred.version,
        id=inferred.id or None,
        parameters=dict(inferred.parameters),
        outputs=outputs,
    )
    head = to_json(answer, exclude_none=True)
    return b"".join([head, *appended]), len(head) if appended else None


def _invalid(error: ValidationError) -> InvalidRequest:
    fault = error.errors(include_url=False, include_context=False)[0]
    path = fault["loc"]
    if _PARAMETERS in path[:-1]:
        at = path.index(_PARAMETERS)
        of = _path((*path[:at], _PARAMETERS))
        return InvalidRequest(f"{of}[{path[at + 1]}]", "must be a text, a number, true or false")
    return InvalidRequest(_path(path) or "body", fault["msg"])


def _path(path: Sequence[str | int]) -> str:
    """Write where something stands: `inputs[0].shape[1]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _tensors(inputs: Sequence[InputBody], appended: bytes) -> list[Tensor]:
    tensors: list[Tensor] = []
    at = 0
    for one in inputs:
        size = one.parameters.get(BINARY_SIZE)
        if size is None:
            tensors.append(_from_json(one))
            continue
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(appended) - at:
            raise InvalidRequest(
                f"inputs[{one.name}].parameters[{BINARY_SIZE}]",
                f"is {size!r}, {len(appended) - at} bytes are left of the body",
            )
        if one.data is not None:
            raise InvalidRequest(f"inputs[{one.name}].data", "is there, and bytes, too: give one of them")
        tensors.append(from_raw(one.name, one.datatype, one.shape, appended[at : at + size]))
        at += size
    if at < len(appended):
        raise InvalidRequest("body", f"has {len(appended) - at} bytes that no input names")
    return tensors


def _from_json(one: InputBody) -> Tensor:
    size_of(one.name, one.datatype, one.shape)
    if one.data is None:
        raise InvalidRequest(f"inputs[{one.name}].data", "is missing")
    elements = _flat(one.name, one.data, one.shape)
    found = set(map(type, elements)) - _ELEMENTS.get(one.datatype, _INTEGERS)
    if found:
        names = ", ".join(sorted(_JSON_NAMES.get(kind, kind.__name__) for kind in found))
        raise InvalidRequest(f"inputs[{one.name}].data", f"holds {names}, which is no {one.datatype}")
    if one.datatype == BYTES:
        elements = [text.encode() for text in elements]
    return from_elements(one.name, one.datatype, one.shape, elements)


_INTEGERS: Final = {int}
_ELEMENTS: Final[Mapping[str, set[type]]] = {
    BOOL: {bool},
    BYTES: {str},
    "FP16": {int, float},
    "FP32": {int, float},
    "FP64": {int, float},
}
_JSON_NAMES: Final[Mapping[type, str]] = {
    bool: "true or false",
    dict: "an object",
    float: "a number with a fraction",
    int: "a whole number",
    list: "a list",
    str: "a text",
    type(None): "null",
}


def _flat(name: str, data: Sequence[Any], shape: Sequence[int]) -> Sequence[Any]:
    """Return the elements of data that are flat, or nested as the shape says."""
    for width in shape[1:]:
        if not data or not isinstance(data[0], list):
            return data
        if any(not isinstance(inner, list) or len(inner) != width for inner in data):
            raise InvalidRequest(f"inputs[{name}].data", f"is nested, but not as its shape {list(shape)}")
        data = list(chain.from_iterable(data))
    return data


def _elements(tensor: Tensor) -> list[Any]:
    elements: list[Any] = tensor.values.tolist()
    return [element.decode() for element in elements] if tensor.datatype == BYTES else elements
