"""Routes: which version answers, which ones shadow it, and who may change that over whom."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response, status
from fastapi.exceptions import RequestValidationError

from control_plane import handlers
from control_plane.adapters.http import problems
from control_plane.adapters.http.bodies import Listed
from control_plane.adapters.http.core import AskingOfCaller, CoreOfApp, ModelName, Wanted
from control_plane.adapters.http.follower_bodies import FollowerOfRoute
from control_plane.adapters.http.route_bodies import RouteInForce, RouteRequest
from control_plane.domain import routes as domain
from control_plane.domain.errors import NoRoute, UnknownModel

router = APIRouter(prefix="/v1/models/{model}/route", tags=["routes"])

_TAG = re.compile(r'"(\d{1,18})"', re.ASCII)
_ETAG = {"ETag": {"description": "The revision, to send back as If-Match.", "schema": {"type": "string"}}}
_IN_FORCE: dict[int | str, dict[str, Any]] = {200: {"headers": _ETAG}}
_SET: dict[int | str, dict[str, Any]] = {
    200: {"headers": _ETAG, "description": "The route in force."},
    201: {"model": RouteInForce, "headers": _ETAG, "description": "The model's first route is in force."},
}
_LOOK = (problems.UNKNOWN_MODEL, problems.INVALID_REQUEST, problems.UNAVAILABLE)

IfMatch = Annotated[
    str | None,
    Header(
        description="The ETag of the route you saw: change it only if it is still that one.", examples=['"3"']
    ),
]
IfNoneMatch = Annotated[
    str | None, Header(description="`*`: set the route only if the model has none.", examples=["*"])
]


@router.get("", responses=_IN_FORCE | problems.documented(problems.NO_ROUTE, *_LOOK))
async def get_route(core: CoreOfApp, model: ModelName, response: Response) -> RouteInForce:
    """Show the route in force."""
    route = await core.registry.route(model)
    if route is not None:
        return _show(route, response)
    if await core.registry.model(model) is None:
        raise UnknownModel(model)
    raise NoRoute(model)


@router.get("/revisions", responses=problems.documented(*_LOOK))
async def list_revisions(core: CoreOfApp, model: ModelName, window: Wanted) -> Listed[RouteInForce]:
    """List every route the model ever had, the one in force first."""
    page = await core.registry.revisions(model, window)
    if not page.items and await core.registry.model(model) is None:
        raise UnknownModel(model)
    return Listed(items=[RouteInForce.of(route) for route in page.items], next=page.next)


@router.put(
    "",
    responses=_SET
    | problems.documented(
        problems.ACTOR_REQUIRED,
        problems.UNKNOWN_MODEL,
        problems.ROLLOUT_IN_PROGRESS,
        problems.REVISION_CONFLICT,
        problems.TOO_LARGE,
        problems.INVALID_REQUEST,
        problems.ROUTE_REFUSED,
        problems.PACKAGE_REFUSED,
        problems.UNAVAILABLE,
    ),
)
async def set_route(
    core: CoreOfApp,
    model: ModelName,
    body: RouteRequest,
    asking: AskingOfCaller,
    response: Response,
    *,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> RouteInForce:
    """Set the champion, its shadows, arms and segments; the change is announced to every replica.

    All versions must be registered, those that may answer approved, their packages must still be what was
    registered, and all must read the champion's feature contract. A running rollout has the route to itself.
    Without `If-Match` the change is made whatever the revision; asking for what is in force already changes
    nothing.
    """
    wanted = domain.RouteRequest(
        model=model,
        champion=body.champion,
        shadows=tuple(body.shadows),
        expected_revision=_expected(if_match, if_none_match),
        experiment=body.experiment(),
        salt=body.salt,
    )
    done = await handlers.set_route(wanted, asking, registry=core.registry, packages=core.packages)
    if done.changed:
        core.committed()
        response.status_code = status.HTTP_201_CREATED if done.route.revision == 1 else status.HTTP_200_OK
    return _show(done.route, response)


@router.get("/followers", responses=problems.documented(*_LOOK))
async def list_followers(core: CoreOfApp, model: ModelName) -> Listed[FollowerOfRoute]:
    """List the replicas that were heard of within three beats, and the revision each answers by."""
    if await core.registry.model(model) is None:
        raise UnknownModel(model)
    now_us = core.clock()
    items = [FollowerOfRoute.of(follower, now_us) for follower in core.followers.of(model)]
    return Listed(items=items, next=None)


def _show(route: domain.Route, response: Response) -> RouteInForce:
    response.headers["ETag"] = f'"{route.revision}"'
    return RouteInForce.of(route)


def _expected(if_match: str | None, if_none_match: str | None) -> int | None:
    if if_none_match is not None:
        if if_none_match.strip() != "*" or if_match is not None:
            raise _wrong_header("if-none-match", "send * alone, or If-Match with the route's ETag")
        return 0
    if if_match is None:
        return None
    tag = _TAG.fullmatch(if_match.strip())
    if tag is None:
        raise _wrong_header("if-match", 'send the route\'s ETag, a revision in quotes such as "3"')
    return int(tag[1])


def _wrong_header(name: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"type": "value_error", "loc": ("header", name), "msg": message}])
