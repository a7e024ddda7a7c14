"""`python -m trainer train`: snapshot, fit, package, judge, register. `serve` does so when it is approved."""

import getpass
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from bus.errors import Unavailable
from feature_store import DefinitionError, load_project
from model_package import PackageError
from rich.console import Console
from service_kit import run as run_service
from service_kit.frame import leave_at_once
from service_kit.logs import configure_logs
from training_sets import DatasetError, DeltaEvents, Period, build, find_model

from trainer.adapters.provenance import provenance_of
from trainer.adapters.wire import Registrant
from trainer.answering import answer_approvals
from trainer.console import ConsoleSteps, parse_time, result_table, snapshot_result, version_result
from trainer.domain.errors import TrainingError
from trainer.fitting import choose_algorithm
from trainer.job import Job
from trainer.settings import TrainerSettings
from trainer.steps import Training

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)

Model = Annotated[str, typer.Argument(help="A model of TIDEMARK_PROJECT, e.g. flight-delay.")]
Until = Annotated[
    int,
    typer.Option(
        "--until",
        parser=parse_time,
        metavar="ISO",
        help="The cut: requests before it, with labels known by it.",
    ),
]
From = Annotated[
    int | None,
    typer.Option(
        "--from", parser=parse_time, metavar="ISO", help="The first request; all there are if left out."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout also at a terminal.")]


@app.command()
def train(  # noqa: PLR0913 - one parameter an option
    model: Model,
    *,
    until: Until,
    from_: From = None,
    algorithm: Annotated[str | None, typer.Option(help="A challenger's; the champion's if left out.")] = None,
    seed: Annotated[int | None, typer.Option(help="For the algorithm; the model's if left out.")] = None,
    as_json: AsJson = False,
    register: Annotated[bool, typer.Option(help="Announce the version on Kafka.")] = True,
    registrant: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Who registers it; others must approve. You, if left out."),
    ] = None,
    request_id: Annotated[
        str, typer.Option(help="The approved request it answers: a repeat goes on where a killed one was.")
    ] = "",
) -> None:
    """Train a version of MODEL from the lake, hold it to the gates, package it and register it.

    The same lake, code and seed give the same version. One that fails a gate is registered all the same,
    with what the gates found: nobody can approve it without waiving them. Exit status 2: the inputs do not
    allow it, the message says why; 3: the version is packaged but Kafka is away, so it is not registered:
    run the same command again.
    """
    settings = TrainerSettings()
    configure_logs("trainer", settings)
    with _told(), ConsoleSteps.shown(Console(stderr=True)) as steps:
        project = load_project(settings.tidemark_project)
        spec = find_model(project, model)
        training = Training(
            project,
            spec,
            Period(from_, until),
            choose_algorithm(spec, algorithm, seed),
            provenance_of(project.module, settings.tidemark_code_commit),
        )
        job = Job(settings, training, Registrant(registrant or _user(), spec.owner, spec.risk, request_id))
        package, evidence = job.run(steps, register=register)
    _answer(version_result(package, evidence), as_json=as_json)


@app.command()
def serve() -> None:
    """Answer approved retrainings until told to stop: one at a time, each a `train` of its own."""
    settings = TrainerSettings()
    try:
        project = load_project(settings.tidemark_project)
    except DefinitionError as error:
        sys.exit(f"trainer: TIDEMARK_PROJECT={settings.tidemark_project!r} cannot be loaded: {error}")
    run_service("trainer", settings, lambda service: answer_approvals(service, settings, project))


@app.command()
def snapshot(model: Model, *, until: Until, from_: From = None, as_json: AsJson = False) -> None:
    """Say which data a training of MODEL would see, without training."""
    settings = TrainerSettings()
    configure_logs("trainer", settings)
    with _told(), ConsoleSteps.shown(Console(stderr=True)) as steps:
        project = load_project(settings.tidemark_project)
        spec = find_model(project, model)
        steps.begin("reading the lake and computing features")
        dataset = build(project, spec, Period(from_, until), DeltaEvents(settings.lake_uri))
    _answer(snapshot_result(dataset), as_json=as_json)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "trainer"


@contextmanager
def _told() -> Iterator[None]:
    """Say in one line why it cannot be done, and end with its exit status."""
    try:
        yield
    except (TrainingError, DatasetError, DefinitionError, PackageError) as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        raise typer.Exit(2) from error
    except Unavailable as error:
        typer.echo(f"packaged, but not registered: {error}; run the same command again", err=True)
        raise typer.Exit(3) from error


def _answer(result: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        typer.echo(json.dumps(result))
    else:
        Console().print(result_table(result))


def main() -> NoReturn:
    """Run one command; threads that read the lake in native code are not waited for."""
    status: str | int | None = 0
    try:
        app(prog_name="python -m trainer")
    except SystemExit as ended:
        status = ended.code
    if isinstance(status, str):
        sys.exit(status)
    leave_at_once(status or 0)


if __name__ == "__main__":
    main()
