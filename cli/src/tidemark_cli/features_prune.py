"""`tidemark features prune`: rows that nobody keeps or reads any more, deleted."""

from typing import Annotated

import typer
from bus.kafka.admin import groups_with_members
from feature_store.online.pruning import Prunable, prunable
from feature_store.online.redis import connect
from feature_store.online.redis_versions import RedisVersions

from tidemark_cli.control_plane import ControlPlane
from tidemark_cli.features_versions import ask_store, keeper_of, look, view_names
from tidemark_cli.options import (
    DEFAULT_CONTROL_PLANE,
    AsJson,
    ControlPlaneUrl,
    Kafka,
    Packages,
    Project,
    RedisUrl,
    ask_kafka,
    reach_kafka,
)
from tidemark_cli.output import print_json, print_table, say
from tidemark_cli.projects import project_named
from tidemark_cli.served_versions import served_versions


def prune(
    *,
    project: Project = None,
    redis_url: RedisUrl = "redis://localhost:6379/0",
    kafka: Kafka = None,
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    packages: Packages = "data/packages",
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete; otherwise it is only said what would be.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete the rows of versions that no running project keeps and no served model reads.

    Versions of this project as it is now stay, and so do those of every group
    that has a running process, of other projects, and of the models that some
    route names. Nothing is deleted without --yes.

    For example:

        tidemark features prune --project examples.flights

        tidemark features prune --project examples.flights --yes
    """
    found = project_named(project)
    kept = ask_store(look(found, redis_url))
    read = list(served_versions(ControlPlane(url), packages, view_names(found, kept)).values())
    groups = [one.group for one in kept.keepers]
    running = ask_kafka(groups_with_members(reach_kafka(kafka), groups))
    mine = keeper_of(found)
    chosen = prunable(mine, kept.keepers, running=running, read=read, rows=kept.rows)
    if yes:
        ask_store(_delete(chosen, redis_url))
    _tell_pruned(chosen, deleted=yes, as_json=as_json)


async def _delete(chosen: Prunable, redis_url: str) -> None:
    client = await connect(redis_url)
    try:
        store = RedisVersions(client)
        for group in chosen.groups:
            await store.forget(group)
        for view, version in chosen.rows:
            await store.delete_rows(view, version)
    finally:
        await client.aclose()


def _tell_pruned(chosen: Prunable, *, deleted: bool, as_json: bool) -> None:
    listed = [
        {"view": view, "version": version, "rows": rows}
        for (view, version), rows in sorted(chosen.rows.items())
    ]
    if as_json:
        print_json({"deleted": deleted, "groups": list(chosen.groups), "versions": listed})
        return
    rows = [(view, version or "none", f"{count:,}") for (view, version), count in sorted(chosen.rows.items())]
    print_table(["view", "version", "rows #"], rows, empty="Every version in the store is kept or read.")
    if chosen.groups:
        say(f"{'Forgotten' if deleted else 'To be forgotten'}: {', '.join(chosen.groups)}.")
    if rows or chosen.groups:
        say("Deleted." if deleted else "Nothing was deleted: run it again with --yes.")
