"""`tidemark features rebuild`: rows made again from the lake."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Annotated
from uuid import uuid4

import typer
from bus.ends import TopicEnds
from feature_store import Project as FeatureProject
from feature_store import View
from feature_store.errors import did_you_mean
from feature_store.online import StoreUnavailable
from feature_store.online.rebuild import Outside, Positions, Rebuild, RebuildBroken, Report
from feature_store.online.redis import RedisClaims, RedisFeatureRows, connect
from feature_store.online.redis_backfill import RedisEpochs, RedisRebuildStore
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from training_sets import DatasetError

from tidemark_cli.failures import Failure, OutOfReach, WrongUsage
from tidemark_cli.lake import LakeHistory
from tidemark_cli.options import AsJson, Kafka, Project, ask_kafka, reach_kafka
from tidemark_cli.output import print_json, say
from tidemark_cli.projects import project_named

_LOOK_AGAIN_SECONDS = 1.0


def rebuild(
    *,
    view: Annotated[
        list[str] | None, typer.Option("--view", metavar="NAME", help="A view; every one when left out.")
    ] = None,
    project: Project = None,
    lake: Annotated[
        str, typer.Option(envvar="LAKE_URI", metavar="URI", help="The lake that the archiver keeps.")
    ] = "build/lake",
    redis_url: Annotated[
        str,
        typer.Option("--redis", envvar="REDIS_URL", metavar="URL", help="The store; of a cluster, any node."),
    ] = "redis://localhost:6379/0",
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Make feature rows again from the lake, after Redis lost them or a view's definition changed.

    `feature` may run: it waits while rows are replaced, then goes on from its
    commits, and no event is missed or counted twice. Killed and run again, it
    goes on where it was. The archiver has to run, unless the lake has all that
    the topics have.

    For example:

        tidemark features rebuild --project examples.flights

        tidemark features rebuild --view origin_departures --project examples.flights
    """
    found = project_named(project)
    views = _chosen(found, view or [])
    with _bar() as bar:
        task = bar.add_task("reading the lake", total=None)

        def watch(report: Report) -> None:
            bar.update(task, description=report.doing, completed=report.done, total=report.total)

        work = _rebuild(found, views, lake, redis_url, reach_kafka(kafka), watch)
        try:
            rows = ask_kafka(work)
        except StoreUnavailable as error:
            raise OutOfReach(f"{error}. Run the same command again: it goes on") from error
        except (DatasetError, RebuildBroken) as error:
            raise Failure(str(error)) from error
    names = [one.name for one in views]
    if as_json:
        print_json({"rows": rows, "views": names})
    else:
        say(f"{rows:,} rows of {', '.join(names)} are rebuilt.")


async def _rebuild(
    project: FeatureProject,
    views: Sequence[View],
    lake: str,
    redis_url: str,
    bootstrap: str,
    watch: Callable[[Report], None],
) -> int:
    ends = TopicEnds(bootstrap, sorted({one.source.topic for one in views}))
    client = await connect(redis_url)
    try:
        outside = Outside(
            history=LakeHistory(lake),
            rows=RedisFeatureRows(client),
            claims=RedisClaims(client),
            live=RedisEpochs(client, project.module),
            staging=RedisEpochs(client, f"rebuild/{project.module}"),
            store=RedisRebuildStore(client, project.module),
            ends=lambda: _by_topic(ends),
            pause=lambda: asyncio.sleep(_LOOK_AGAIN_SECONDS),
            watch=watch,
        )
        return await Rebuild(views, outside, run=uuid4().hex, now_us=time.time_ns() // 1000).run()
    finally:
        await ends.aclose()
        await client.aclose()


async def _by_topic(ends: TopicEnds) -> Positions:
    found: dict[str, dict[int, int]] = {}
    for (topic, partition), end in (await ends.ask()).items():
        found.setdefault(topic, {})[partition] = end
    return found


def _chosen(project: FeatureProject, names: Sequence[str]) -> list[View]:
    for name in names:
        if name not in project.views:
            raise WrongUsage(f"there is no view {name!r}. {did_you_mean(name, project.views)}")
    return [view for name, view in project.views.items() if not names or name in names]


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
