"""`tidemark quality`: days of events against what their sources expect of them."""

from pathlib import Path
from typing import Annotated

import typer
from data_quality.findings import Day

from tidemark_cli.failures import FAILED, WrongUsage
from tidemark_cli.options import AsJson, Kafka, Lake, Project, read_day
from tidemark_cli.projects import project_named

app = typer.Typer(
    no_args_is_help=True,
    help="""Hold days of events against what their sources expect of them.

    Sources declare expectations beside their checks: Source(..., expectations=[...]).
    A check refuses an event at the door; an expectation judges a day of those that passed.""",
)


@app.callback()
def _group() -> None:
    """Keeps `report` a command of its own."""


def _day(text: str) -> Day:
    return Day.on(read_day(text))


OneDay = Annotated[
    Day | None, typer.Option("--day", parser=_day, metavar="DATE", help="The day, UTC; or the last of them.")
]
Since = Annotated[
    Day | None, typer.Option(parser=_day, metavar="DATE", help="The first of several days, up to --day.")
]


@app.command()
def report(  # noqa: PLR0913 - one parameter an option
    *,
    day: OneDay = None,
    since: Since = None,
    source: Annotated[
        list[str] | None, typer.Option("--source", metavar="TOPIC", help="A source; all when left out.")
    ] = None,
    project: Project = None,
    lake: Lake = "build/lake",
    kafka: Kafka = None,
    dead_letters: Annotated[
        bool, typer.Option(help="Count what was refused at the door, which asks Kafka.")
    ] = True,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page for people, with plots.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Tell closed days as measurements, from which alerts are made.")
    ] = False,
    closed: Annotated[
        bool, typer.Option("--closed", help="Nothing more comes: judge as closed what looks open.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Judge days of events, each against the 28 days before it.

    A day is judged by what was recorded until an hour after its end, and is
    closed once a source of the project has come past that: then its figures
    do not change any more. Exit code 1 says that an expectation failed, so a
    scheduler can run this every day.

    For example:

        tidemark quality report --day 2013-08-30 --project examples.flights

        tidemark quality report --since 2013-08-01 --day 2013-08-31 --html august.html

        tidemark quality report --day 2013-08-30 --publish --json
    """
    if day is None:
        raise WrongUsage("say which day: --day 2013-08-30, and --since for several up to it")
    if since is not None and since > day:
        raise WrongUsage(f"--since {since} is later than --day {day}")
    # pandera and polars take a second to import: no other command should wait for them.
    from tidemark_cli.quality_report import Asked, show  # noqa: PLC0415

    asked = Asked(
        project=project_named(project),
        topics=source or [],
        days=[Day(number) for number in range((since or day).number, day.number + 1)],
        lake=lake,
        kafka=kafka,
        dead_letters=dead_letters,
        is_closed=closed,
    )
    if show(asked, html=html, publish=publish, as_json=as_json):
        raise typer.Exit(FAILED)
