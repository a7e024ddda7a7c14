"""`tidemark features backfill`: rows made from the lake, and handed over to the stream."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer
from bus.kafka.group_offsets import GroupOffsets
from feature_store import MissingKey
from feature_store import Project as FeatureProject
from feature_store.errors import did_you_mean
from feature_store.events import empty
from feature_store.online import StoreUnavailable
from feature_store.online.backfill import Backfill
from feature_store.online.backfill_plan import BackfillRefused
from feature_store.online.backfill_ports import BackfillBroken, Filled, History, Outside, Report
from feature_store.online.keepers import Positions, feature_group
from feature_store.online.redis import RedisClaims, RedisFeatureRows, connect
from feature_store.online.redis_backfill import RedisBackfillStore, RedisEpochs
from feature_store.online.redis_keepers import RedisKeepers
from privacy.erased import UnknownSecret
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from training_sets import DatasetError

from tidemark_cli.erased import ErasedHistory, known_erased
from tidemark_cli.failures import Failure, OutOfReach, WrongUsage
from tidemark_cli.lake import LakeHistory
from tidemark_cli.options import (
    AsJson,
    Kafka,
    Lake,
    PrivacyKeyFile,
    Project,
    RedisUrl,
    ask_kafka,
    reach_kafka,
)
from tidemark_cli.output import print_json, say
from tidemark_cli.projects import project_named

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from feature_store import EventBatch, Source

_LOOK_AGAIN_SECONDS = 1.0


def backfill(  # noqa: PLR0913 - one parameter an option
    view: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VIEW]...", help="Views to make again; all that need it when left out."),
    ] = None,
    *,
    project: Project = None,
    lake: Lake = "build/lake",
    without_history: Annotated[
        bool,
        typer.Option(
            "--without-history", help="Begin with what the topics still hold: older events are left out."
        ),
    ] = False,
    redis_url: RedisUrl = "redis://localhost:6379/0",
    key_file: PrivacyKeyFile = "",
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Make feature rows from the lake, and let the stream go on from there.

    Of a project that changed, the views that are new or changed are filled
    beside the rows of the old project, which goes on meanwhile. Where rows were
    lost, or are named, they are made again: `feature` waits while they are
    replaced. No event is missed or counted twice. Killed and run again, it goes
    on where it was. The archiver has to run, unless the lake has all that the
    topics have.

    For example:

        tidemark features backfill --project examples.flights

        tidemark features backfill origin_departures --project examples.flights
    """
    found = project_named(project)
    _check(found, view or [])
    with _bar() as bar:
        task = bar.add_task("reading the lake", total=None)

        def watch(report: Report) -> None:
            bar.update(task, description=report.doing, completed=report.done, total=report.total)

        reach = reach_kafka(kafka)
        try:
            history = None if without_history else _history(lake, reach, found, key_file)
            filled = ask_kafka(_backfill(found, view or [], history, redis_url, reach, watch))
        except StoreUnavailable as error:
            raise OutOfReach(f"{error}. Run the same command again: it goes on") from error
        except BackfillRefused as error:
            raise WrongUsage(str(error)) from error
        except (DatasetError, BackfillBroken, MissingKey, UnknownSecret) as error:
            raise Failure(str(error)) from error
    _tell(filled, as_json=as_json)


def _history(lake: str, bootstrap: str, project: FeatureProject, key_file: str) -> ErasedHistory:
    return ErasedHistory(LakeHistory(lake), known_erased(bootstrap, project, key_file))


def _tell(filled: Filled, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "group": filled.group,
                "rows": filled.rows,
                "views": dict(filled.views),
                "positions": {topic: dict(ends) for topic, ends in filled.positions.items()},
            }
        )
    elif filled.views:
        say(f"{filled.rows:,} rows of {', '.join(filled.views)} are made; {filled.group} goes on from there.")
    else:
        say(f"Every version is kept by somebody already; {filled.group} goes on where they are.")


async def _backfill(
    project: FeatureProject,
    chosen: Sequence[str],
    history: History | None,
    redis_url: str,
    bootstrap: str,
    watch: Callable[[Report], None],
) -> Filled:
    views = list(project.views.values())
    log = GroupOffsets(bootstrap, sorted({one.source.topic for one in views}))
    begins = {} if history is not None else await log.begins()
    async with _outside(project, log, history or _NoHistory(begins), redis_url, watch) as outside:
        run, now_us = uuid4().hex, time.time_ns() // 1000
        since = {topic: held for topic, held in begins.items() if any(held.values())}
        return await Backfill(
            project.module, views, outside, run=run, now_us=now_us, chosen=chosen, since=since
        ).run()


@asynccontextmanager
async def _outside(
    project: FeatureProject,
    log: GroupOffsets,
    history: History,
    redis_url: str,
    watch: Callable[[Report], None],
) -> "AsyncIterator[Outside]":
    client = await connect(redis_url)
    try:
        yield Outside(
            history=history,
            log=log,
            rows=RedisFeatureRows(client),
            claims=RedisClaims(client),
            markers=lambda group: RedisEpochs(client, group),
            keepers=RedisKeepers(client),
            store=RedisBackfillStore(client, feature_group(project)),
            pause=lambda: asyncio.sleep(_LOOK_AGAIN_SECONDS),
            watch=watch,
        )
    finally:
        await client.aclose()


class _NoHistory:
    """A lake that has come to where the topics begin, and holds nothing."""

    def __init__(self, begins: Positions) -> None:
        self._begins = begins

    async def reached(self, source: "Source") -> Mapping[int, int]:
        """See `History.reached`."""
        return self._begins.get(source.topic, {})

    async def read(self, source: "Source", ranges: Mapping[int, tuple[int, int]]) -> "EventBatch":  # noqa: ARG002 - of any range
        """See `History.read`."""
        return empty(source)


def _check(project: FeatureProject, names: Sequence[str]) -> None:
    for name in names:
        if name not in project.views:
            raise WrongUsage(f"there is no view {name!r}. {did_you_mean(name, project.views)}")


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
