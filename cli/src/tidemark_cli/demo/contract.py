"""What the command line and a project's demo say to each other."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from rich.console import Console


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """How a demo ended.

    Attributes:
        summary: What is printed as JSON, and what `summary.json` holds.
        promises_kept: Whether the run held what it has to hold; the command fails when not.
    """

    summary: Mapping[str, object]
    promises_kept: bool = True


Hold = Callable[[DemoOutcome, Mapping[str, str]], Awaitable[None]]
"""Called with what is to be told and the environment that finds what runs; returns when all is to end."""


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """What a person asked of a demo; None leaves the choice to the project.

    Attributes:
        folder: Where everything of the run belongs.
        live_from: Where learning ends and living begins, UTC.
        live_to: Where living ends, UTC.
        tick: The step of event time.
        speed: Times real time; None is as fast as the consumers keep up.
        hold: If given, to be awaited once everything is lived and still runs, before anything is stopped.
    """

    folder: Path
    live_from: datetime | None = None
    live_to: datetime | None = None
    tick: timedelta | None = None
    speed: float | None = None
    hold: Hold | None = None


class Live(Protocol):
    """A project's demo."""

    async def __call__(self, request: DemoRequest, console: Console) -> DemoOutcome:
        """Lives the demo and tells the console about it.

        However it ends, cancelled included, nothing it started is left running.

        Raises:
            ValueError: the request makes no sense, in a sentence.
            local_stack.StackError: Kafka or Valkey could not be started.
            tidemark_cli.platform.PlatformError: a service died or was not ready.
        """
