"""The Open Inference Protocol over REST, on the same plane as over gRPC."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final

import grpc
from fastapi import APIRouter, Depends, FastAPI, Path, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict
from service_kit.grpc_door import MAX_MESSAGE_BYTES
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from inference.adapters.inflating import CODINGS, Inflating
from inference.adapters.metadata import traceparent_in
from inference.adapters.rest_bodies import InferBody, InferredBody, read_body, write_body
from inference.adapters.statuses import code_of, retry_after_s_of
from inference.domain.errors import InvalidRequest, ScoringError
from inference.serve.open_inference import ModelInfo, OpenInference, ServerInfo

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from inference.metrics import Metrics

JSON_SIZE: Final = "Inference-Header-Content-Length"
_JSON: Final = "application/json"
_BYTES: Final = "application/octet-stream"
_READ_OUT_BYTES: Final = 8 * MAX_MESSAGE_BYTES
"""Of a body that is too large, so that its sender comes to reading why instead of being cut off."""

_STATUSES: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
}

_log = logging.getLogger(__name__)


class ErrorBody(BaseModel):
    """Why there is no answer."""

    error: str


class TensorBody(BaseModel):
    """What a tensor is."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    datatype: str
    shape: tuple[int, ...]


class ModelBody(BaseModel):
    """What a model reads and gives."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorBody]
    outputs: list[TensorBody]
    properties: dict[str, str]


class ServerBody(BaseModel):
    """What answers."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    version: str
    extensions: tuple[str, ...]


class LiveBody(BaseModel):
    """Always."""

    live: bool


class ReadyBody(BaseModel):
    """Whether requests are welcome."""

    ready: bool


class ModelReadyBody(BaseModel):
    """That a model can score."""

    name: str
    ready: bool


def _plane_of(request: Request) -> OpenInference:
    plane: OpenInference = request.app.state.plane
    return plane


Plane = Annotated[OpenInference, Depends(_plane_of)]
Model = Annotated[str, Path(description="A model that has a route.", examples=["flight-delay"])]
Version = Annotated[str, Path(description="A version that is warm here.")]
_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {"model": ErrorBody, "description": "Why there is no answer."}
}
_ASKED: Final = {
    "requestBody": {
        "required": True,
        "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{InferBody.__name__}"}}},
    }
}

router = APIRouter(prefix="/v2", responses=_ERRORS)


@router.get("/", response_model=ServerBody, include_in_schema=False)
@router.get("", response_model=ServerBody, tags=["server"])
async def server_metadata(plane: Plane) -> ServerInfo:
    """What answers."""
    return plane.server()


@router.get("/health/live", tags=["server"])
async def server_live() -> LiveBody:
    """The process answers."""
    return LiveBody(live=True)


@router.get("/health/ready", response_model=ReadyBody, tags=["server"], responses={503: {"model": ReadyBody}})
async def server_ready(plane: Plane) -> JSONResponse:
    """Every routed model is warm, as the gRPC health service says; 503 where not."""
    ready = plane.is_ready()
    return JSONResponse({"ready": ready}, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


@router.get("/models/{model}", response_model=ModelBody, tags=["model"])
async def model_metadata(plane: Plane, model: Model) -> ModelInfo:
    """What a model reads and gives."""
    return plane.model(model, "")


@router.get("/models/{model}/versions/{version}", response_model=ModelBody, tags=["model"])
async def version_metadata(plane: Plane, model: Model, version: Version) -> ModelInfo:
    """What a version of a model reads and gives."""
    return plane.model(model, version)


@router.get("/models/{model}/ready", tags=["model"])
async def model_ready(plane: Plane, model: Model) -> ModelReadyBody:
    """The model can score; 404 or 503 where not."""
    plane.check_ready(model, "")
    return ModelReadyBody(name=model, ready=True)


@router.get("/models/{model}/versions/{version}/ready", tags=["model"])
async def version_ready(plane: Plane, model: Model, version: Version) -> ModelReadyBody:
    """The version can score; 404 or 503 where not."""
    plane.check_ready(model, version)
    return ModelReadyBody(name=model, ready=True)


@router.post("/models/{model}/infer", response_model=InferredBody, openapi_extra=_ASKED, tags=["inference"])
async def infer(plane: Plane, model: Model, request: Request) -> Response:
    """Score; the route decides which version answers."""
    return await _infer(plane, request, model, "")


@router.post(
    "/models/{model}/versions/{version}/infer",
    response_model=InferredBody,
    openapi_extra=_ASKED,
    tags=["inference"],
)
async def infer_by_version(plane: Plane, model: Model, version: Version, request: Request) -> Response:
    """Score with a version."""
    return await _infer(plane, request, model, version)


async def _infer(plane: OpenInference, request: Request, model: str, version: str) -> Response:
    json_size = _json_size(request.headers.get(JSON_SIZE))
    body = await _body_of(request)
    inference, asked = read_body(body, model=model, version=version, json_size=json_size)
    inferred = await plane.infer(
        inference, time_left_s=None, traceparent=traceparent_in(request.headers.get("traceparent"))
    )
    answer, json_size = write_body(inferred, asked)
    if json_size is None:
        return Response(answer, media_type=_JSON)
    return Response(answer, media_type=_BYTES, headers={JSON_SIZE: str(json_size)})


def _json_size(header: str | None) -> int | None:
    if header is None:
        return None
    if not (header.isascii() and header.isdigit() and len(header) < 10):
        raise InvalidRequest(JSON_SIZE, f"is {header!r}, must be a count of bytes")
    return int(header)


async def _body_of(request: Request) -> bytes:
    inflating = Inflating.of(request.headers.get("content-encoding", "identity"))
    if inflating is None:
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "the body's Content-Encoding is not read: send it as it is, or as gzip or deflate",
            headers={"Accept-Encoding": ", ".join(CODINGS)},
        )
    body, received = bytearray(), 0
    async for chunk in request.stream():
        received += len(chunk)
        if max(received, len(body)) <= MAX_MESSAGE_BYTES:
            body += inflating.feed(chunk, MAX_MESSAGE_BYTES + 1 - len(body))
        elif received > _READ_OUT_BYTES:
            break
    if max(received, len(body)) > MAX_MESSAGE_BYTES:
        # What is left is not read: the connection is of no use any more.
        raise HTTPException(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body is larger than {MAX_MESSAGE_BYTES} bytes",
            headers={"Connection": "close"},
        )
    inflating.finish()
    return bytes(body)


def create_app(plane: OpenInference, metrics: Metrics) -> FastAPI:
    """Build the app."""
    app = FastAPI(
        title="Tidemark inference",
        version=plane.server().version,
        description="The Open Inference Protocol, version 2.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.plane = plane

    async def refused(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ScoringError)
        code = code_of(error)
        metrics.failed(code.name)
        status = _STATUSES.get(code, HTTPStatus.INTERNAL_SERVER_ERROR)
        return _answer(status, str(error), _advice(retry_after_s_of(error)))

    app.add_exception_handler(ScoringError, refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _internal)
    app.add_middleware(HeadAsGet)
    app.include_router(router)
    _describe(app)
    return app


class HeadAsGet:
    """Answers HEAD as GET: the server leaves the body out. Probes of load balancers ask so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _answer(error.status_code, str(error.detail), error.headers)


async def _gone(_request: Request, _error: Exception) -> JSONResponse:
    return _answer(HTTPStatus.BAD_REQUEST, "the caller went before its request had come")


async def _internal(request: Request, error: Exception) -> JSONResponse:
    _log.error("request failed: %s", request.url.path, exc_info=error)
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error: see the server's log")


def _advice(retry_after_s: float | None) -> dict[str, str] | None:
    """When to ask again: HTTP knows whole seconds only (RFC 9110, 10.2.3)."""
    return None if retry_after_s is None else {"Retry-After": str(math.ceil(retry_after_s))}


def _answer(status: int, error: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"error": error}, status, headers)


def _describe(app: FastAPI) -> None:
    """Add the schema of what is asked: bodies are not read by the framework, for bytes may follow them."""
    schemas = app.openapi()["components"]["schemas"]
    asked = InferBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(asked.pop("$defs"), **{InferBody.__name__: asked})
