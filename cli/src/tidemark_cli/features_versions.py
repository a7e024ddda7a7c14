"""`tidemark features versions`: which versions of views live in the store, and for whom."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from feature_store import Project as FeatureProject
from feature_store.online import StoreUnavailable
from feature_store.online.epochs import Condition
from feature_store.online.keepers import Keeper, feature_group, versions_of
from feature_store.online.pruning import RowCounts
from feature_store.online.redis import connect
from feature_store.online.redis_backfill import RedisBackfillStore, RedisEpochs
from feature_store.online.redis_keepers import RedisKeepers
from feature_store.online.redis_versions import RedisVersions
from feature_store.rows import VERSION_DIGITS

from tidemark_cli.failures import OutOfReach
from tidemark_cli.options import AsJson, Project, RedisUrl
from tidemark_cli.output import print_json, print_table
from tidemark_cli.projects import project_named

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store says of its versions.

    Attributes:
        keepers: Who keeps what.
        conditions: What the markers of each group say.
        filling: Groups that a backfill has begun for and not ended.
        rows: How many rows there are.
    """

    keepers: Sequence[Keeper]
    conditions: Mapping[str, Condition]
    filling: frozenset[str]
    rows: RowCounts


def versions(
    *,
    project: Project = None,
    redis_url: RedisUrl = "redis://localhost:6379/0",
    as_json: AsJson = False,
) -> None:
    """Show the versions of a project's views in the store: rows, who keeps them, and how far they are.

    A version is the first 8 digits of a view's digest, as it stands in its rows'
    keys. `complete`: it holds all that was known when it was begun, and goes on
    with the stream. `catching up`: it does not yet. `backfilling`: rows are being
    made. `lost`, `not begun`: run `tidemark features backfill`. `left over`:
    nobody keeps it; `tidemark features prune` deletes it.

    For example:

        tidemark features versions --project examples.flights
    """
    found = project_named(project)
    listed = states(found, ask_store(look(found, redis_url)))
    if as_json:
        print_json(listed)
        return
    rows = [
        (
            one["view"],
            one["version"] or "none",
            "yes" if one["current"] else "no",
            one["state"],
            f"{one['rows']:,}",
            ", ".join(one["groups"]) or "-",
            one["since"] or "-",
        )
        for one in listed
    ]
    columns = ["view", "version", "of this project", "state", "rows #", "kept by", "kept since"]
    print_table(columns, rows, empty="The project declares no view, and the store holds none.")


def keeper_of(project: FeatureProject) -> Keeper:
    """Returns what the project's own group is, or would be, registered as."""
    views = versions_of(project.views.values())
    return Keeper(feature_group(project), project.module, views, {}, {}, complete=False, began_us=0)


def ask_store(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs work that talks to the store.

    Raises:
        OutOfReach: it does not answer.
    """
    try:
        return asyncio.run(work)
    except StoreUnavailable as error:
        raise OutOfReach(str(error)) from error


async def look(project: FeatureProject, redis_url: str) -> Kept:
    """Looks at a store, every key of it."""
    client = await connect(redis_url)
    try:
        keepers = await RedisKeepers(client).all()
        groups = {feature_group(project), *(one.group for one in keepers)}
        conditions = {group: (await RedisEpochs(client, group).read()).condition for group in groups}
        filling = [group for group in groups if await RedisBackfillStore(client, group).note() is not None]
        return Kept(keepers, conditions, frozenset(filling), await RedisVersions(client).count())
    finally:
        await client.aclose()


def states(project: FeatureProject, kept: Kept) -> list[dict[str, Any]]:
    """Returns every version of a project's views: of the project as it is, kept by a group, or left over."""
    mine = keeper_of(project)
    of_project = [one for one in kept.keepers if one.project == project.module]
    names = {*mine.views, *(name for one in of_project for name in one.views)}
    known = {
        (name, digest[:VERSION_DIGITS]) for one in (mine, *of_project) for name, digest in one.views.items()
    }
    known |= {key for key in kept.rows if key[0] in names}
    return [_state(name, version, mine, kept) for name, version in sorted(known)]


def _state(name: str, version: str, mine: Keeper, kept: Kept) -> dict[str, Any]:
    keepers = [one for one in kept.keepers if _keeps(one, name, version)]
    is_mine = _keeps(mine, name, version)
    since = min((one.began_us for one in keepers), default=None)
    return {
        "view": name,
        "version": version,
        "current": is_mine,
        "state": _word(keepers, kept, mine.group if is_mine else None),
        "rows": kept.rows.get((name, version), 0),
        "groups": [one.group for one in keepers],
        "since": None if since is None else f"{datetime.fromtimestamp(since / 1e6, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


def _keeps(keeper: Keeper, name: str, version: str) -> bool:
    return bool(version) and keeper.views.get(name, "").startswith(version)


def _word(keepers: Sequence[Keeper], kept: Kept, mine: str | None) -> str:
    whole = [one for one in keepers if kept.conditions[one.group] is Condition.WHOLE]
    if whole:
        return "complete" if any(one.complete for one in whole) else "catching up"
    groups = {one.group for one in keepers} | ({mine} if mine else set())
    if groups & kept.filling or any(kept.conditions[group] is Condition.HELD for group in groups):
        return "backfilling"
    if keepers:
        return "lost"
    return "not begun" if mine else "left over"


def view_names(project: FeatureProject, kept: Kept) -> set[str]:
    """Returns the names of all views that a project has, or had while a group of it kept them."""
    return {
        *project.views,
        *(name for one in kept.keepers if one.project == project.module for name in one.views),
    }
