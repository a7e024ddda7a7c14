"""`tidemark retention`: how long topics and tables are kept, as declared and as it is."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import typer
from bus.inspect import TopicInfo, list_topics
from bus.kafka.admin import set_retention
from bus.topics import AUDIT_RECORDED, CATALOGUE, SUBJECTS_ERASED, dead_letter_of
from deltalake import DeltaTable
from feature_store import DefinitionError, declared
from feature_store import Project as FeatureProject
from feature_store.retention import PART, Retention, check_retention
from training_sets.erasing import LakeBusy, Rows, TableErased, erase_rows

from tidemark_cli.failures import Failure
from tidemark_cli.forgetting.tables import platform_path
from tidemark_cli.options import AsJson, Kafka, Lake, Project, ask_kafka, reach_kafka
from tidemark_cli.output import print_json, print_table
from tidemark_cli.projects import project_named

_DAY = timedelta(days=1)
_SPARED_NS = 3_600 * 1_000_000_000
_EVENT_TIME = "_event_time"
_MOMENT = pa.timestamp("us", tz="UTC")
_FOR_EVER = (SUBJECTS_ERASED.name, AUDIT_RECORDED.name)


@dataclass(frozen=True, slots=True)
class Kept:
    """How long something is kept.

    Attributes:
        kind: "topic" or "table".
        name: A topic's name, or a table's place below the lake.
        wanted: As declared; None where nothing is.
        actual: As Kafka has it, or as old as the table's oldest row; None for ever, or where there is none.
        note: What there is to say of it.
    """

    kind: str
    name: str
    wanted: timedelta | None
    actual: timedelta | None
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is so as declared."""
        if self.wanted is None:
            return True
        if self.kind == "topic":
            return self.actual == self.wanted
        # The day that the limit falls into is kept whole.
        return self.actual is None or self.actual <= self.wanted + _DAY


def retention(
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Make it as declared.")] = False,
    as_of: Annotated[
        datetime | None,
        typer.Option(help="Reckon ages of rows to this time, UTC; now when left out.", metavar="TIME"),
    ] = None,
    project: Project = None,
    lake: Lake = "build/lake",
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Show how long topics, dead letters and tables of the lake are kept, as declared and as it is.

    A project declares it in its `retention` module. --apply sets the topics, and
    deletes from the lake the whole days that are older, together with the files
    that older versions of the tables needed. Run it daily.

    For example:

        tidemark retention --project shop

        tidemark retention --project shop --apply
    """
    found = project_named(project)
    wanted = _declared(found)
    reach = reach_kafka(kafka)
    now = as_of.replace(tzinfo=UTC) if as_of else datetime.fromtimestamp(time.time_ns() / 1e9, UTC)
    if apply:
        _apply(reach, lake, wanted, now)
    kept = [*_topics(ask_kafka(list_topics(reach)), wanted), *_tables(lake, wanted, now)]
    if as_json:
        print_json([_as_json(one) for one in kept])
        return
    rows = [(one.kind, one.name, _words(one.wanted, "-"), _actual(one), one.note) for one in kept]
    columns = ["what", "name", "declared", "actual", ""]
    print_table(columns, rows, empty="There is no topic and no table yet.")


def _declared(project: FeatureProject) -> dict[str, Retention]:
    try:
        found = declared(project.module, PART, Retention)
        known = [topic.name for topic in CATALOGUE]
        check_retention(found, project, known, _FOR_EVER)
    except DefinitionError as error:
        raise Failure(str(error)) from error
    return {one.topic: one for one in found}


def _apply(reach: str, lake: str, wanted: dict[str, Retention], now: datetime) -> None:
    there = {one.name for one in ask_kafka(list_topics(reach))}
    limits = {
        name: limit // timedelta(milliseconds=1)
        for one in wanted.values()
        for name, limit in ((one.topic, one.in_topic), (dead_letter_of(one.topic), one.dead_letters))
        if limit is not None and name in there
    }
    ask_kafka(set_retention(reach, limits))
    for one in wanted.values():
        if one.in_lake is not None:
            try:
                delete_days(lake, _path(one.topic), one.in_lake, now)
            except LakeBusy as error:
                raise Failure(str(error)) from error


def delete_days(lake: str, path: str, limit: timedelta, now: datetime) -> TableErased | None:
    """Deletes the rows of days that ended longer than `limit` before `now`; None where there is no table."""
    location = f"{lake.rstrip('/')}/{path}"
    if not DeltaTable.is_deltatable(location):
        return None
    first_kept = pa.scalar(
        (now - limit).replace(hour=0, minute=0, second=0, microsecond=0), pa.timestamp("us", tz="UTC")
    )
    older = Rows((_EVENT_TIME,), lambda held: pc.less(held[_EVENT_TIME].cast(_MOMENT), first_kept))
    now_ms = int(now.timestamp() * 1000)
    # A file that is being written is in no version yet: what an archiver has in hand is left alone.
    return erase_rows(
        DeltaTable(location), older, why=f"retention {limit}", now_ms=now_ms, spare_ns=_SPARED_NS
    )


def _topics(found: list[TopicInfo], wanted: dict[str, Retention]) -> Iterator[Kept]:
    limits = {one.topic: one.in_topic for one in wanted.values()}
    limits |= {dead_letter_of(one.topic): one.dead_letters for one in wanted.values()}
    for topic in found:
        note = "newest of each key" if topic.compacted else ""
        yield Kept("topic", topic.name, limits.get(topic.name), topic.retention, note)


def _tables(lake: str, wanted: dict[str, Retention], now: datetime) -> Iterator[Kept]:
    for one in wanted.values():
        path = _path(one.topic)
        location = f"{lake.rstrip('/')}/{path}"
        if one.in_lake is not None and DeltaTable.is_deltatable(location):
            oldest = _oldest(DeltaTable(location))
            yield Kept("table", path, one.in_lake, None if oldest is None else now - oldest, "oldest row")


def _oldest(table: DeltaTable) -> datetime | None:
    least = None
    for batch in table.to_pyarrow_dataset().to_batches(columns=[_EVENT_TIME]):
        found = pc.min(batch.column(0)).as_py()
        least = found if least is None or (found is not None and found < least) else least
    return least


def _path(topic: str) -> str:
    own = {one.name for one in CATALOGUE}
    return platform_path(topic) if topic in own else f"sources/{topic}"


def _actual(one: Kept) -> str:
    told = _words(one.actual, "empty") if one.kind == "table" else _words(one.actual, "for ever")
    return told if one.holds else f"{told} (not as declared)"


def _words(limit: timedelta | None, otherwise: str) -> str:
    if limit is None:
        return otherwise
    return f"{limit.days} days" if limit.days else str(limit)


def _as_json(one: Kept) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "name": one.name,
        "declared_seconds": None if one.wanted is None else one.wanted.total_seconds(),
        "actual_seconds": None if one.actual is None else one.actual.total_seconds(),
        "holds": one.holds,
    }
