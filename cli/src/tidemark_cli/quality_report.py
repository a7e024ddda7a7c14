"""What `tidemark quality report` does: judges days, and prints, draws and publishes what was found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bus.producer import KafkaPublisher
from bus.topics import MONITORS_MEASURED, ensure_topics
from data_quality.documents import document, figure
from data_quality.facts import measured_event
from data_quality.findings import Day, Finding, Quarantine, SourceDay, Verdict
from data_quality.judging import Judge
from data_quality.lake import DeltaHistory
from data_quality.page import page
from data_quality.quarantine import quarantine_of
from feature_store import Project, Source
from feature_store.errors import did_you_mean
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from training_sets import DatasetError

from tidemark_cli.failures import Failure
from tidemark_cli.options import ask_kafka, reach_kafka
from tidemark_cli.output import note, print_json, print_table, say


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be judged.

    Attributes:
        topics: The sources; all where there is none.
        days: Ascending.
        dead_letters: Whether Kafka is asked what was refused.
        is_closed: Whether days are to be taken as closed whatever the lake says.
    """

    project: Project
    topics: Sequence[str]
    days: Sequence[Day]
    lake: str
    kafka: str | None
    dead_letters: bool
    is_closed: bool


def show(asked: Asked, *, html: Path | None, publish: bool, as_json: bool) -> bool:
    """Judge, and tell what was found in every way that was asked for; return whether anything failed.

    Raises:
        Failure: there is no such source, or none can be read; where one can, the others are told.
        OutOfReach: Kafka was needed and does not answer.
    """
    sources = _chosen(asked)
    reach = reach_kafka(asked.kafka) if asked.dead_letters or publish else ""
    refused = _quarantines(reach, sources) if asked.dead_letters else {}
    judged, unread = _judge(asked, sources, refused)
    if not judged:
        raise Failure(unread[0])
    for problem in unread:
        note(problem)
    if html is not None:
        html.write_text(page(judged), encoding="utf-8")
        note(f"written: {html}")
    if publish:
        _publish(reach, judged)
    if as_json:
        print_json([document(one) for one in judged])
    else:
        _print(judged)
    return bool(unread) or any(one.failed for one in judged)


def _chosen(asked: Asked) -> list[Source]:
    declared = asked.project.sources
    for name in asked.topics:
        if name not in declared:
            raise Failure(f"{asked.project.module} has no source {name!r}. {did_you_mean(name, declared)}")
    return [one for topic, one in declared.items() if not asked.topics or topic in asked.topics]


def _quarantines(reach: str, sources: Iterable[Source]) -> dict[str, Quarantine]:
    async def ask() -> dict[str, Quarantine]:
        return {one.topic: await quarantine_of(reach, one.topic) for one in sources}

    return ask_kafka(ask())


def _judge(
    asked: Asked, sources: Sequence[Source], refused: Mapping[str, Quarantine]
) -> tuple[list[SourceDay], list[str]]:
    """Return the judged days, source by source within a day, and why sources could not be read."""
    history = DeltaHistory(asked.lake)
    closed = {day for day in asked.days if asked.is_closed or _has_passed(asked.project, day, history)}
    judged: list[SourceDay] = []
    unread: list[str] = []
    with _bar() as bar:
        task = bar.add_task("judging", total=len(sources) * len(asked.days))
        for source in sources:
            judge = Judge(source, history, refused.get(source.topic))
            try:
                for day in asked.days:
                    judged.append(judge.judge(day, is_closed=day in closed))
                    bar.advance(task)
            except DatasetError as error:
                unread.append(str(error))
    return sorted(judged, key=lambda one: one.day), unread


def _has_passed(project: Project, day: Day, history: DeltaHistory) -> bool:
    """Tell whether any source has come past the day: a silent one must not hold up its own verdict."""
    for source in project.sources.values():
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
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
