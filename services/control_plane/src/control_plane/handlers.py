"""What the control plane does, one function a request or message: gather, decide, apply."""

from collections.abc import Callable
from dataclasses import dataclass

from bus.events import Event

from control_plane.domain.errors import RevisionConflict, UnknownModel
from control_plane.domain.routes import Route, RouteRequest, decide
from control_plane.domain.versions import Claim, Version
from control_plane.ports import Packages, Registry

_ATTEMPTS = 5

Announce = Callable[[Route], Event]


@dataclass(frozen=True, slots=True)
class RouteChange:
    """The route in force, and whether this request put it there."""

    route: Route
    changed: bool


@dataclass(frozen=True, slots=True)
class Registration:
    """The version as it stands, and whether this request made it."""

    version: Version
    created: bool


async def register(claim: Claim, *, registry: Registry, packages: Packages, now_us: int) -> Registration:
    """Registers a version; a repeat of the same claim changes nothing.

    Raises:
        VersionConflict: the name is taken by another package.
        PackageRefused: the package is not there, or not what the claim says.
    """
    if claim.version and (known := await registry.version(claim.model, claim.version)):
        return Registration(known.expect(claim.digest), created=False)
    facts = await packages.inspect(claim.package_uri, claim.digest)
    version = Version.of(claim, facts, registered_at_us=now_us)
    if await registry.add_version(version):
        return Registration(version, created=True)
    known = await registry.version(version.model, version.version)
    assert known is not None
    return Registration(known, created=False)


async def set_route(
    request: RouteRequest, *, registry: Registry, packages: Packages, announce: Announce, now_us: int
) -> RouteChange:
    """Puts a route in force and announces it; asking for what is in force already changes nothing.

    Raises:
        UnknownModel: no version of the model was ever registered.
        RouteRefused: the versions make no route, see `domain.routes.decide`.
        RevisionConflict: the route is not at the expected revision.
        PackageRefused: a package is no longer what was registered.
    """
    for attempt in range(_ATTEMPTS):
        current = await registry.route(request.model)
        route = decide(request, current=current, versions=await _named(request, registry), now_us=now_us)
        if route is current:
            return RouteChange(route, changed=False)
        await _verify(route, packages)
        try:
            await registry.change_route(route, announce(route))
        except RevisionConflict:
            if request.expected_revision is not None or attempt == _ATTEMPTS - 1:
                raise
        else:
            return RouteChange(route, changed=True)
    raise AssertionError("the last attempt returns or raises")


async def _named(request: RouteRequest, registry: Registry) -> dict[str, Version]:
    if await registry.model(request.model) is None:
        raise UnknownModel(request.model)
    names = {request.champion, *request.shadows}
    found = [await registry.version(request.model, name) for name in names]
    return {version.version: version for version in found if version}


async def _verify(route: Route, packages: Packages) -> None:
    for version in (route.champion, *route.shadows):
        await packages.inspect(version.package_uri, version.digest)
