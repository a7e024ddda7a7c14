"""`tidemark quality`: days of events against what their sources expect of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from bus.producer import KafkaPublisher
from bus.topics import MONITORS_MEASURED, ensure_topics
from data_quality.documents import document, figure
from data_quality.facts import measured_event
from data_quality.findings import Day, Finding, Quarantine, SourceDay, Verdict
from data_quality.judging import Judge
from data_quality.lake import DeltaHistory
from data_quality.page import page
from data_quality.quarantine import quarantine_of
from feature_store import Project as Declared
from feature_store import Source
from feature_store.errors import did_you_mean
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from training_sets import DatasetError

from tidemark_cli.failures import FAILED, Failure, WrongUsage
from tidemark_cli.options import AsJson, Kafka, Project, ask_kafka, reach_kafka
from tidemark_cli.output import note, print_json, print_table, say
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
    try:
        return Day.of(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day, such as 2013-08-30") from None


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
    lake: Annotated[
        str, typer.Option(envvar="LAKE_URI", metavar="URI", help="The lake that the archiver keeps.")
    ] = "build/lake",
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
    declared = project_named(project)
    sources = _chosen(declared, source)
    days = [Day(number) for number in range((since or day).number, day.number + 1)]
    if not days:
        raise WrongUsage(f"--since {since} is later than --day {day}")
    reach = reach_kafka(kafka) if dead_letters or publish else ""
    refused = _quarantines(reach, sources) if dead_letters else {}
    try:
        judged = _judge(declared, sources, days, DeltaHistory(lake), refused, closed=closed)
    except DatasetError as error:
        raise Failure(str(error)) from error
    if html is not None:
        html.write_text(page(judged), encoding="utf-8")
        note(f"written: {html}")
    if publish:
        _publish(reach, judged)
    if as_json:
        print_json([document(one) for one in judged])
    else:
        _print(judged)
    if any(one.failed for one in judged):
        raise typer.Exit(FAILED)


def _chosen(declared: Declared, names: Sequence[str] | None) -> list[Source]:
    for name in names or ():
        if name not in declared.sources:
            raise Failure(f"{declared.module} has no source {name!r}. {did_you_mean(name, declared.sources)}")
    return [one for topic, one in declared.sources.items() if not names or topic in names]


def _quarantines(reach: str, sources: Iterable[Source]) -> dict[str, Quarantine]:
    async def ask() -> dict[str, Quarantine]:
        return {one.topic: await quarantine_of(reach, one.topic) for one in sources}

    return ask_kafka(ask())


def _judge(
    declared: Declared,
    sources: Sequence[Source],
    days: Sequence[Day],
    history: DeltaHistory,
    refused: dict[str, Quarantine],
    *,
    closed: bool,
) -> list[SourceDay]:
    judged: list[SourceDay] = []
    judges = [Judge(source, history, refused.get(source.topic)) for source in sources]
    with _bar() as bar:
        task = bar.add_task("judging", total=len(sources) * len(days))
        for day in days:
            is_closed = closed or _has_passed(declared, day, history)
            for one in judges:
                judged.append(one.judge(day, is_closed=is_closed))
                bar.advance(task)
    return judged


def _has_passed(declared: Declared, day: Day, history: DeltaHistory) -> bool:
    """Tell whether any source has come past the day: a silent one must not hold up its own verdict."""
    for source in declared.sources.values():
        try:
            if history.newest_recorded_us(source, day.known_by_us) is not None:
                return True
        except DatasetError:
            continue
    return False


def _publish(reach: str, judged: Sequence[SourceDay]) -> None:
    told = [one for one in judged if one.is_closed]
    for one in judged:
        if not one.is_closed:
            note(f"{one.topic} {one.day} is not closed yet and is not published; see --closed")
    if not told:
        return

    async def send() -> None:
        await ensure_topics(reach, [MONITORS_MEASURED])
        async with KafkaPublisher(reach, client_id="tidemark-cli") as publisher:
            await publisher.publish_all(MONITORS_MEASURED.name, [measured_event(one) for one in told])

    ask_kafka(send())
    note(f"{len(told)} measurements published to {MONITORS_MEASURED.name}")


def _print(judged: Sequence[SourceDay]) -> None:
    for one in judged:
        state = "" if one.is_closed else ", not closed yet"
        say(f"\n{one.topic}  {one.day}  {one.rows:,} rows  {one.verdict.value.lower()}{state}")
        print_table(
            ["what", "observed #", "expected", "verdict", "median before #", "off by #", "such as"],
            [_row(one, finding) for finding in one.findings],
            empty="Nothing is expected of it.",
        )
        for refused in one.refusals or ():
            first = refused.examples[0]
            where = f"{first.partition}:{first.offset}"
            say(f"refused {refused.count:,} {refused.reason}, such as {where}: {first.told}")


def _row(judged: SourceDay, finding: Finding) -> tuple[str, ...]:
    trend = judged.trends.get(finding.name)
    off = None if trend is None else trend.deviations
    such_as = [f"{one.partition}:{one.offset} {one.told}".rstrip() for one in finding.examples[:2]]
    is_told = finding.verdict is not Verdict.PASSED
    return (
        f"{finding.statistic} {finding.subject}".rstrip(),
        figure(finding.value),
        finding.bound,
        finding.verdict.value.lower(),
        figure(None if trend is None else trend.median),
        "-" if off is None else f"{off:+.1f} sd",
        "; ".join(([finding.detail] if finding.detail else []) + such_as) if is_told else "",
    )


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
