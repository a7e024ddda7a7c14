"""Domain errors, validation errors and the framework's own as problem details."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from bus.errors import Unavailable
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from control_plane.adapters.http import problems
from control_plane.domain import errors

_log = logging.getLogger(__name__)

_KINDS: dict[type[errors.RegistryError], problems.Kind] = {
    errors.UnknownModel: problems.UNKNOWN_MODEL,
    errors.UnknownVersion: problems.UNKNOWN_VERSION,
    errors.NoRoute: problems.NO_ROUTE,
    errors.VersionConflict: problems.VERSION_CONFLICT,
    errors.RevisionConflict: problems.REVISION_CONFLICT,
    errors.PackageRefused: problems.PACKAGE_REFUSED,
    errors.RouteRefused: problems.ROUTE_REFUSED,
    errors.UnknownCursor: problems.INVALID_REQUEST,
    errors.UnknownApproval: problems.UNKNOWN_APPROVAL,
    errors.AlreadyDecided: problems.ALREADY_DECIDED,
    errors.ApprovalExpired: problems.APPROVAL_EXPIRED,
    errors.OwnVersion: problems.OWN_VERSION,
    errors.OwnErasure: problems.OWN_ERASURE,
    errors.UnknownErasure: problems.UNKNOWN_ERASURE,
    errors.ErasureNotApproved: problems.NOT_APPROVED,
    errors.GatesFailed: problems.GATES_FAILED,
    errors.UnknownGate: problems.UNKNOWN_GATE,
    errors.CommentRequired: problems.COMMENT_REQUIRED,
    errors.ActorRequired: problems.ACTOR_REQUIRED,
    errors.UnknownRollout: problems.UNKNOWN_ROLLOUT,
    errors.RolloutInProgress: problems.ROLLOUT_IN_PROGRESS,
    errors.ExperimentRunning: problems.EXPERIMENT_RUNNING,
    errors.RolloutEnded: problems.ROLLOUT_ENDED,
    errors.NothingToRollBackTo: problems.NO_PREVIOUS,
}


def install(app: FastAPI) -> None:
    """Makes every error of the app a problem."""
    app.add_exception_handler(errors.RegistryError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(Exception, _internal)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.RegistryError)
    extensions: dict[str, Any] = {}
    if isinstance(error, errors.PackageRefused | errors.RouteRefused):
        extensions["reason"] = error.reason
    if isinstance(error, errors.RevisionConflict):
        extensions["current_revision"] = error.current
    if isinstance(error, errors.GatesFailed):
        extensions["gates"] = list(error.gates)
    kind = _KINDS[type(error)]
    headers = {"WWW-Authenticate": "Tidemark-Actor"} if kind is problems.ACTOR_REQUIRED else None
    return problems.answer(kind, detail=str(error), instance=request.url.path, headers=headers, **extensions)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [
        problems.Fault(location=list(fault["loc"]), message=_message(fault)) for fault in error.errors()
    ]
    return problems.answer(
        problems.INVALID_REQUEST, detail=_sentence(faults), instance=request.url.path, errors=faults
    )


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    path, detail = request.url.path, str(error.detail)
    match error.status_code:
        case HTTPStatus.METHOD_NOT_ALLOWED:
            kind, detail = problems.METHOD_NOT_ALLOWED, f"{request.method} is not for {path}: see /docs."
        case HTTPStatus.NOT_FOUND:
            kind, detail = problems.NOT_FOUND, f"There is nothing at {path}: see /docs."
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            kind = problems.TOO_LARGE
        case _:
            kind = problems.INVALID_REQUEST
    return problems.answer(kind, detail=detail, instance=path, headers=error.headers)


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    _log.warning("unavailable: %s", error)
    return problems.answer(
        problems.UNAVAILABLE,
        detail="A dependency does not answer right now; nothing was changed. Ask again.",
        instance=request.url.path,
        headers={"Retry-After": "1"},
    )


async def _internal(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problems.answer(
        problems.INTERNAL,
        detail="This should not happen; the log of control_plane says what did.",
        instance=request.url.path,
    )


def _message(fault: dict[str, Any]) -> str:
    if fault["type"] == "json_invalid":
        return f"is no JSON: {fault['ctx']['error']}"
    return str(fault["msg"])


def _sentence(faults: Sequence[problems.Fault]) -> str:
    return "; ".join(f"{'.'.join(map(str, fault.location))}: {fault.message}" for fault in faults)
