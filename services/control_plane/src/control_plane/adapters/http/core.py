"""What the endpoints work with: built once by the composition root, handed over by the app."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from bus.clocks import Clock
from fastapi import Depends, Header, Path, Query, Request
from service_kit import trace

from control_plane.adapters.following import Followers
from control_plane.adapters.http.bodies import NAME_PATTERN
from control_plane.domain.errors import ActorRequired
from control_plane.domain.pages import Window
from control_plane.handlers import Asking
from control_plane.ports import Outbox, Packages, Registry

# What no human does is done by "system:<part>", so nobody else may be called so.
_ACTOR = re.compile(r"(?!system:)[\x20-\x7e]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Core:
    """The ports behind the endpoints.

    Attributes:
        committed: Called when a change put something in the outbox.
    """

    registry: Registry
    packages: Packages
    outbox: Outbox
    followers: Followers
    clock: Clock
    committed: Callable[[], None]


def _core(request: Request) -> Core:
    core: Core = request.app.state.core
    return core


def _window(
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many items.")] = 50,
    after: Annotated[str | None, Query(max_length=256, description="The `next` of the page before.")] = None,
) -> Window:
    return Window(limit, after)


CoreOfApp = Annotated[Core, Depends(_core)]


def _asking(
    core: CoreOfApp,
    tidemark_actor: Annotated[
        str | None,
        Header(description="Who makes this change: claimed, not proven.", examples=["ada"]),
    ] = None,
    traceparent: Annotated[
        str | None, Header(description="W3C trace context, continued in the events.")
    ] = None,
) -> Asking:
    actor = (tidemark_actor or "").strip()
    if not _ACTOR.fullmatch(actor):
        raise ActorRequired
    return Asking(actor, core.clock(), str(trace.proceed(traceparent)))


AskingOfCaller = Annotated[Asking, Depends(_asking)]
Wanted = Annotated[Window, Depends(_window)]
ModelName = Annotated[
    str, Path(pattern=NAME_PATTERN, description="The model's name.", examples=["flight-delay"])
]
VersionName = Annotated[str, Path(pattern=NAME_PATTERN, description="The version's name.")]
