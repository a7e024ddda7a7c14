"""Problem details (RFC 9457): every error this API answers with, and how each is described in OpenAPI."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem; its `type` is a URN, for no page is there for every installation to link to."""

    name: str
    status: int
    title: str

    @property
    def uri(self) -> str:
        """The problem's `type`."""
        return f"urn:tidemark:problem:{self.name}"


NOT_FOUND = Kind("not-found", 404, "There is nothing at this address")
UNKNOWN_MODEL = Kind("unknown-model", 404, "The model is not registered")
UNKNOWN_VERSION = Kind("unknown-version", 404, "The version is not registered")
NO_ROUTE = Kind("no-route", 404, "The model has no route")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "This address does not know that method")
VERSION_CONFLICT = Kind("version-conflict", 409, "The version is registered with another package")
REVISION_CONFLICT = Kind("revision-conflict", 412, "The route has changed since it was read")
ACTOR_REQUIRED = Kind("actor-required", 401, "Nobody says that they make this change")
OWN_VERSION = Kind("own-version", 403, "Nobody approves what they registered")
OWN_ERASURE = Kind("own-erasure", 403, "Nobody approves what they asked to be erased")
UNKNOWN_ERASURE = Kind("unknown-erasure", 404, "Nobody asked for this erasure")
NOT_APPROVED = Kind("erasure-not-approved", 409, "The erasure is not approved")
UNKNOWN_APPROVAL = Kind("unknown-approval", 404, "Nobody asked for this approval")
UNKNOWN_ROLLOUT = Kind("unknown-rollout", 404, "The model has no such rollout")
ALREADY_DECIDED = Kind("already-decided", 409, "The approval is decided")
APPROVAL_EXPIRED = Kind("approval-expired", 409, "The approval has expired")
GATES_FAILED = Kind("gates-failed", 409, "The version failed gates that are not waived")
ROLLOUT_IN_PROGRESS = Kind("rollout-in-progress", 409, "A rollout of the model is running")
EXPERIMENT_RUNNING = Kind("experiment-running", 409, "The route runs an experiment")
ROLLOUT_ENDED = Kind("rollout-ended", 409, "The rollout has ended")
NO_PREVIOUS = Kind("nothing-to-roll-back-to", 409, "No version before this one could be champion again")
UNKNOWN_GATE = Kind("unknown-gate", 422, "The version did not fail that gate")
COMMENT_REQUIRED = Kind("comment-required", 422, "This needs a reason that can be read later")
TOO_LARGE = Kind("body-too-large", 413, "The request body is too large")
INVALID_REQUEST = Kind("invalid-request", 422, "The request is not valid")
PACKAGE_REFUSED = Kind("package-refused", 422, "The package is not what it is said to be")
ROUTE_REFUSED = Kind("route-refused", 422, "These versions do not make a route")
INTERNAL = Kind("internal", 500, "Something is wrong on this side")
UNAVAILABLE = Kind("unavailable", 503, "The database or the package store does not answer")


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    location: Annotated[list[str | int], Field(description="Where it is.", examples=[["body", "champion"]])]
    message: Annotated[str, Field(description="What is wrong with it.", examples=["Field required"])]


class Problem(BaseModel):
    """Problem details, RFC 9457."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": UNKNOWN_MODEL.uri,
                    "title": UNKNOWN_MODEL.title,
                    "status": UNKNOWN_MODEL.status,
                    "detail": "There is no model 'flight-dely': register a version of it first.",
                    "instance": "/v1/models/flight-dely",
                }
            ]
        }
    )

    type: Annotated[str, Field(description="Which kind of problem: decide on this, never on the words.")]
    title: Annotated[str, Field(description="The kind in words, always the same.")]
    status: Annotated[int, Field(description="The HTTP status, repeated.")]
    detail: Annotated[str, Field(description="What was wrong this time, and what to do.")]
    instance: Annotated[str, Field(description="The path that was asked for.")]
    reason: Annotated[str | None, Field(description="Which rule a package or route breaks.")] = None
    current_revision: Annotated[int | None, Field(description="The route's revision in force.")] = None
    gates: Annotated[list[str] | None, Field(description="The gates that were failed.")] = None
    errors: Annotated[
        list[Fault] | None, Field(description="What is wrong with the request, part by part.")
    ] = None


def answer(
    kind: Kind,
    *,
    detail: str,
    instance: str,
    headers: Mapping[str, str] | None = None,
    **extensions: Any,
) -> JSONResponse:
    """Makes the reply; `extensions` are the optional fields of `Problem`."""
    problem = Problem(
        type=kind.uri, title=kind.title, status=kind.status, detail=detail, instance=instance, **extensions
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=kind.status,
        headers=dict(headers or {}),
        media_type=MEDIA_TYPE,
    )


def documented(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Describes the problems an operation answers with, for its `responses`; each by an example."""
    by_status: dict[int | str, list[Kind]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {status: _response(same) for status, same in by_status.items()}


def _response(kinds: list[Kind]) -> dict[str, Any]:
    examples = {kind.name: {"summary": kind.title, "value": _example(kind)} for kind in kinds}
    return {
        "description": ", or ".join(kind.title for kind in kinds) + ".",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
    }


def _example(kind: Kind) -> dict[str, object]:
    return {
        "type": kind.uri,
        "title": kind.title,
        "status": kind.status,
        "detail": f"{kind.title}.",
        "instance": "/v1/models/flight-delay",
    }
