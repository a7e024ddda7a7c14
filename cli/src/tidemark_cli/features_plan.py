"""`tidemark features plan`: what the store keeps, and what a changed project means for it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from feature_store import Project as FeatureProject
from feature_store.rows import VERSION_DIGITS
from training_sets import DatasetError

from tidemark_cli.control_plane import ControlPlane
from tidemark_cli.failures import Failure
from tidemark_cli.features_described import Described, describe_project
from tidemark_cli.features_versions import Kept, ask_store, look, states, view_names
from tidemark_cli.lake import LakeHistory
from tidemark_cli.options import AsJson, Lake, Packages, Project
from tidemark_cli.output import print_json, print_table, say
from tidemark_cli.projects import project_named
from tidemark_cli.served_versions import served_versions

_COMPLETE = "complete"


def plan(
    *,
    project: Project = None,
    redis_url: Annotated[
        str | None,
        typer.Option(
            "--redis", metavar="URL", help="Compare with what this store keeps; of a cluster, any node."
        ),
    ] = None,
    lake: Lake = "build/lake",
    control_plane: Annotated[
        str | None,
        typer.Option("--control-plane", metavar="URL", help="Ask it which models read other versions."),
    ] = None,
    packages: Packages = "data/packages",
    as_json: AsJson = False,
) -> None:
    """Show what the store keeps: a row's words and bytes by view, and the topics that are read.

    With --redis, what the project as it is now means for a store: which versions
    are new, how many records of the lake they are to be made of, and, with
    --control-plane, which models that are served read other versions.

    For example:

        tidemark features plan --project examples.flights

        tidemark features plan --project examples.flights --redis redis://localhost:6379/0
    """
    found = project_named(project)
    planned = _planned(describe_project(found))
    if redis_url is not None:
        kept = ask_store(look(found, redis_url))
        served = (
            served_versions(ControlPlane(control_plane), packages, view_names(found, kept))
            if control_plane
            else {}
        )
        for name, one in _changes(found, kept, lake, served).items():
            planned[name] |= one
    if as_json:
        print_json(planned)
    else:
        _show(planned, compared=redis_url is not None)


def _planned(described: Described) -> dict[str, dict[str, Any]]:
    return {
        name: {"source": one["source"], "version": one["digest"][:VERSION_DIGITS], **one["row"]}
        for name, one in described["views"].items()
    }


def _changes(
    project: FeatureProject, kept: Kept, lake: str, served: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, Any]]:
    """Returns what the store lacks of each view, by name."""
    listed = states(project, kept)
    current = {one["view"]: one["state"] for one in listed if one["current"]}
    lacking = {name for name, state in current.items() if state == "not begun"}
    records = asyncio.run(_records(project, lacking, lake))
    return {
        name: {
            "state": state,
            "live_versions": [one["version"] for one in listed if one["view"] == name and not one["current"]],
            "records_to_read": records[project.views[name].source.topic] if name in lacking else 0,
            "models_on_other_versions": _elsewhere(project, name, served),
        }
        for name, state in current.items()
    }


async def _records(project: FeatureProject, views: set[str], lake: str) -> dict[str, int]:
    history = LakeHistory(lake)
    sources = {project.views[name].source.topic: project.views[name].source for name in views}
    try:
        return {topic: sum((await history.reached(one)).values()) for topic, one in sources.items()}
    except DatasetError as error:
        raise Failure(str(error)) from error


def _elsewhere(project: FeatureProject, view: str, served: Mapping[str, Mapping[str, str]]) -> list[str]:
    mine = project.views[view].digest.hex()
    return sorted(model for model, read in served.items() if read.get(view, mine) != mine)


def _show(planned: Mapping[str, Mapping[str, Any]], *, compared: bool) -> None:
    columns = ["view", "topic", "partitions #", "header words #", "tile words #", "bytes #", "version"]
    if compared:
        columns += ["state", "other versions", "records to read #", "models on other versions"]
    print_table(
        columns, [_row(name, one) for name, one in planned.items()], empty="The project declares no view."
    )
    lacking = [name for name, one in planned.items() if one.get("state", _COMPLETE) == "not begun"]
    if lacking:
        say(
            f"To be made: {', '.join(lacking)}. Start `feature` with this project beside the one that runs, "
            "then `tidemark features backfill`; or let it begin with its topics, if they hold everything."
        )
    elif not compared:
        say("A view whose definition changed has other rows: `tidemark features backfill` fills them.")


def _row(name: str, one: Mapping[str, Any]) -> Sequence[str]:
    sizes = [str(one["partitions"]), str(one["header_words"]), str(one["tile_words"]), f"{one['bytes']:,}"]
    row = [name, one["source"], *sizes, one["version"]]
    if "state" not in one:
        return row
    return [
        *row,
        one["state"],
        ", ".join(version or "none" for version in one["live_versions"]) or "-",
        f"{one['records_to_read']:,}",
        ", ".join(one["models_on_other_versions"]) or "-",
    ]
