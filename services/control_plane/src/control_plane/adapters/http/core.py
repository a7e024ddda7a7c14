"""What the endpoints work with: built once by the composition root, handed over by the app."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from bus.clocks import Clock
from fastapi import Depends, Path, Query, Request

from control_plane.adapters.http.bodies import NAME_PATTERN
from control_plane.domain.pages import Window
from control_plane.ports import Packages, Registry


@dataclass(frozen=True, slots=True)
class Core:
    """The ports behind the endpoints; `committed` is called when a change put something in the outbox."""

    registry: Registry
    packages: Packages
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
Wanted = Annotated[Window, Depends(_window)]
ModelName = Annotated[
    str, Path(pattern=NAME_PATTERN, description="The model's name.", examples=["flight-delay"])
]
VersionName = Annotated[str, Path(pattern=NAME_PATTERN, description="The version's name.")]
