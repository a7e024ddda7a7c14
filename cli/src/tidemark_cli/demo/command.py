"""The command itself: options in, a project's demo run, its outcome out."""

import asyncio
import importlib
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import local_stack
import typer
from rich.console import Console

from tidemark_cli.demo.contract import DemoOutcome, DemoRequest, Live
from tidemark_cli.demo.keeping import DEFAULT_FOLDER, KeptDemo, run_behind, this_program
from tidemark_cli.failures import DONE, FAILED, INTERRUPTED, Failure, WrongUsage
from tidemark_cli.options import AsJson
from tidemark_cli.output import print_json, say
from tidemark_cli.platform import PlatformError
from tidemark_cli.projects import see_working_folder

_DURATION = re.compile(r"(\d+)(s|m|h)?", re.ASCII)
_UNITS = {None: "minutes", "s": "seconds", "m": "minutes", "h": "hours"}
_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]


LiveFrom = Annotated[
    datetime | None,
    typer.Option(
        "--from", formats=_DATES, metavar="DATE", help="Learn from what comes before, live from here. UTC."
    ),
]
LiveTo = Annotated[
    datetime | None, typer.Option("--to", formats=_DATES, metavar="DATE", help="Live until here. UTC.")
]
Tick = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="The step of event time, such as 15m, 1h or 30s; 30m if left out."),
]
Speed = Annotated[
    float | None,
    typer.Option(min=1e-3, metavar="N", help="N times real time; as fast as it goes when left out."),
]
Keep = Annotated[bool, typer.Option("--keep", help="Leave everything running afterwards, until `--stop`.")]
Stop = Annotated[bool, typer.Option("--stop", help="Stop what an earlier --keep left running.")]
DemoProject = Annotated[
    str, typer.Option(envvar="TIDEMARK_PROJECT", metavar="MODULE", help="The project whose demo it is.")
]
Folder = Annotated[Path, typer.Option(help="Where everything of the run goes.")]
Handover = Annotated[int | None, typer.Option(hidden=True)]


def demo(  # noqa: PLR0913 - options are parameters
    *,
    live_from: LiveFrom = None,
    live_to: LiveTo = None,
    tick: Tick = None,
    speed: Speed = None,
    keep: Keep = False,
    stop: Stop = False,
    project: DemoProject = "examples.flights",
    folder: Folder = DEFAULT_FOLDER,
    as_json: AsJson = False,
    handover: Handover = None,
) -> None:
    """Watch the whole platform live: real events, real services, a real model.

    It starts a real Kafka and a real Valkey and every service as its own process,
    learns from the first months, trains and routes a champion and a challenger,
    and lives on at the pace the services keep up. It ends with a summary,
    summary.json and report.html, and stops everything it started; so does Ctrl-C
    at any moment.

    With --keep everything stays afterwards, for the other commands to look at;
    FOLDER/environment is for a shell to source.

    For example:

        tidemark demo

        tidemark demo --to 2013-04-08 --keep && source build/demo/environment

        tidemark demo --stop
    """
    kept = KeptDemo(folder)
    if stop:
        say(f"Stopped the demo in {folder}." if kept.stop() else f"No demo runs in {folder}.")
        return
    kept.refuse_if_kept()
    request = DemoRequest(folder, _utc(live_from), _utc(live_to), _duration(tick), speed)
    live = _load(project)
    if keep and handover is None:
        raise typer.Exit(_keep(kept))
    console = Console(stderr=as_json)

    def tell(outcome: DemoOutcome) -> None:
        if as_json:
            print_json(outcome.summary)

    async def hold(outcome: DemoOutcome, environment: Mapping[str, str]) -> None:
        assert handover is not None
        tell(outcome)
        await kept.hold(environment, handover_fd=handover, exit_code=_code(outcome))

    outcome = _run(live, replace(request, hold=hold) if handover is not None else request, console)
    if handover is None:
        tell(outcome)
    raise typer.Exit(_code(outcome))


def _code(outcome: DemoOutcome) -> int:
    return DONE if outcome.promises_kept else FAILED


def _keep(kept: KeptDemo) -> int:
    """Runs this very command behind, and returns when it holds or has ended."""
    ended = run_behind(this_program(*sys.argv[1:], "--handover"))
    if ended.held:
        text = (
            f"Everything runs on. Look around with `source {kept.environment_path}`, "
            f"end it with `{kept.stop_command}`."
        )
        Console(stderr=True).print(text, soft_wrap=True, highlight=False)
    return INTERRUPTED if ended.exit_code < 0 else ended.exit_code


def _load(project: str) -> Live:
    see_working_folder()
    name = f"{project}.demo"
    try:
        module: Any = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise WrongUsage(f"there is no demo of {project}: no module {error.name} was found") from error
        raise
    if not hasattr(module, "live"):
        raise WrongUsage(f"there is no demo of {project}: {name} has no coroutine function `live`")
    live: Live = module.live
    return live


def _run(live: Live, request: DemoRequest, console: Console) -> DemoOutcome:
    try:
        return asyncio.run(_until_terminated(live, request, console))
    except ValueError as error:
        raise WrongUsage(str(error)) from error
    except (PlatformError, local_stack.StackError) as error:
        raise Failure(str(error)) from error
    except asyncio.CancelledError:
        raise typer.Exit(INTERRUPTED) from None


async def _until_terminated(live: Live, request: DemoRequest, console: Console) -> DemoOutcome:
    """SIGTERM cancels the demo as Ctrl-C does, so that it stops what it started."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await live(request, console)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _duration(text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        raise WrongUsage(f"--tick {text!r} is no duration: write 15m, 1h or 30s")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
