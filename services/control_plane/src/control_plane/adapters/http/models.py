"""Models and their versions: look, and register."""

from typing import Any

from fastapi import APIRouter, Response, status

from control_plane import handlers
from control_plane.adapters.http import problems
from control_plane.adapters.http.bodies import Listed, Model, RegisteredVersion, Registration
from control_plane.adapters.http.core import AskingOfCaller, CoreOfApp, ModelName, VersionName, Wanted
from control_plane.domain.errors import UnknownModel, UnknownVersion
from control_plane.domain.versions import Claim, Provenance

router = APIRouter(prefix="/v1/models", tags=["models"])

_LOOK = problems.documented(problems.UNKNOWN_MODEL, problems.INVALID_REQUEST, problems.UNAVAILABLE)
_CREATED: dict[int | str, dict[str, Any]] = {
    201: {
        "model": RegisteredVersion,
        "description": "The version is registered now.",
        "headers": {"Location": {"description": "The version's address.", "schema": {"type": "string"}}},
    }
}


@router.get("", responses=problems.documented(problems.INVALID_REQUEST, problems.UNAVAILABLE))
async def list_models(core: CoreOfApp, window: Wanted) -> Listed[Model]:
    """List the models by name."""
    page = await core.registry.models(window)
    return Listed(items=[Model.of(summary) for summary in page.items], next=page.next)


@router.get("/{model}", responses=_LOOK)
async def get_model(core: CoreOfApp, model: ModelName) -> Model:
    """Show a model: how many versions it has, and what serves."""
    summary = await core.registry.model(model)
    if summary is None:
        raise UnknownModel(model)
    return Model.of(summary)


@router.get("/{model}/versions", responses=_LOOK)
async def list_versions(core: CoreOfApp, model: ModelName, window: Wanted) -> Listed[RegisteredVersion]:
    """List a model's versions, the last registered first."""
    page = await core.registry.versions(model, window)
    if not page.items and await core.registry.model(model) is None:
        raise UnknownModel(model)
    route = await core.registry.route(model)
    return Listed(items=[RegisteredVersion.of(version, route) for version in page.items], next=page.next)


@router.get(
    "/{model}/versions/{version}",
    responses=problems.documented(
        problems.UNKNOWN_MODEL, problems.UNKNOWN_VERSION, problems.INVALID_REQUEST, problems.UNAVAILABLE
    ),
)
async def get_version(core: CoreOfApp, model: ModelName, version: VersionName) -> RegisteredVersion:
    """Show a version: its package, its training, its metrics."""
    found = await core.registry.version(model, version)
    if found is not None:
        return RegisteredVersion.of(found, await core.registry.route(model))
    if await core.registry.model(model) is None:
        raise UnknownModel(model)
    raise UnknownVersion(model, version)


@router.post(
    "/{model}/versions",
    response_description="It was registered before, with this very package: nothing changed.",
    responses=_CREATED
    | problems.documented(
        problems.ACTOR_REQUIRED,
        problems.VERSION_CONFLICT,
        problems.TOO_LARGE,
        problems.INVALID_REQUEST,
        problems.PACKAGE_REFUSED,
        problems.UNAVAILABLE,
    ),
)
async def register_version(
    core: CoreOfApp, model: ModelName, body: Registration, asking: AskingOfCaller, response: Response
) -> RegisteredVersion:
    """Register a version.

    Its package is verified byte by byte, and what it says of itself is what is registered. A version never
    changes: the same again is no error and changes nothing, another package under its name is refused.
    It waits for approval then, by somebody else; a version registered here was held to no gate.
    """
    provenance = Provenance(registered_by=asking.actor)
    claim = Claim(model, body.version, body.digest, body.package_uri, provenance=provenance)
    done = await handlers.register(
        claim, registry=core.registry, packages=core.packages, now_us=asking.now_us
    )
    if done.created:
        core.committed()
        response.status_code = status.HTTP_201_CREATED
        response.headers["Location"] = f"/v1/models/{model}/versions/{done.version.version}"
    return RegisteredVersion.of(done.version, await core.registry.route(model))
