"""`python -m trainer`: snapshot, train, evaluate, package, register; a job, not a server."""

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from bus.errors import Unavailable
from bus.events import Event
from bus.producer import KafkaPublisher
from bus.topics import MODELS_REGISTERED, ensure_topics
from feature_store import DefinitionError, load_project
from model_package import PackageError, PackageStore
from rich.console import Console
from service_kit.logs import configure_logs

from trainer.adapters.lake import DeltaEvents
from trainer.adapters.provenance import provenance_of
from trainer.adapters.wire import model_registered
from trainer.console import ConsoleSteps, parse_time, result_table, snapshot_result, version_result
from trainer.domain.errors import TrainingError
from trainer.domain.examples import Period
from trainer.fitting import choose_algorithm
from trainer.settings import TrainerSettings
from trainer.steps import Training, find_model, take_snapshot
from trainer.steps import train as run_training

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
def train(
    model: Model,
    *,
    until: Until,
    from_: From = None,
    algorithm: Annotated[str | None, typer.Option(help="A challenger's; the champion's if left out.")] = None,
    seed: Annotated[int | None, typer.Option(help="For the algorithm; the model's if left out.")] = None,
    as_json: AsJson = False,
    register: Annotated[bool, typer.Option(help="Announce the version on Kafka.")] = True,
) -> None:
    """Train a version of MODEL from the lake, package it and register it.

    The same lake, code and seed give the same version. Exit status 2: the inputs do not allow it, the
    message says why; 3: the version is packaged but Kafka is away, so it is not registered: run the same
    command again.
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
        lake, packages = DeltaEvents(settings.lake_uri), PackageStore(settings.packages_uri)
        package = run_training(training, lake, packages, steps)
        if register:
            steps.begin(f"registering {package.version}")
            asyncio.run(_publish(settings.kafka_bootstrap_servers, model_registered(package)))
    _answer(version_result(package), as_json=as_json)


@app.command()
def snapshot(model: Model, *, until: Until, from_: From = None, as_json: AsJson = False) -> None:
    """Say which data a training of MODEL would see, without training."""
    settings = TrainerSettings()
    configure_logs("trainer", settings)
    with _told(), ConsoleSteps.shown(Console(stderr=True)) as steps:
        project = load_project(settings.tidemark_project)
        spec = find_model(project, model)
        steps.begin("reading the lake and computing features")
        dataset = take_snapshot(project, spec, Period(from_, until), DeltaEvents(settings.lake_uri))
    _answer(snapshot_result(dataset), as_json=as_json)


async def _publish(bootstrap: str, event: Event) -> None:
    await ensure_topics(bootstrap, [MODELS_REGISTERED])
    async with KafkaPublisher(bootstrap, client_id="trainer") as publisher:
        await publisher.publish(MODELS_REGISTERED.name, event)


@contextmanager
def _told() -> Iterator[None]:
    """Say in one line why it cannot be done, and end with its exit status."""
    try:
        yield
    except (TrainingError, DefinitionError, PackageError) as error:
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


if __name__ == "__main__":
    app(prog_name="python -m trainer")
