"""`tidemark features`: what a project declares, what changed, and rows made from the lake."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from feature_store.errors import did_you_mean

from tidemark_cli.documents import print_document
from tidemark_cli.failures import FAILED, Failure
from tidemark_cli.features_backfill import backfill
from tidemark_cli.features_catalogue import catalogue, duration, entity_of, objective
from tidemark_cli.features_compile import compile_features
from tidemark_cli.features_described import Described, compare, describe_project
from tidemark_cli.features_plan import plan
from tidemark_cli.features_prune import prune
from tidemark_cli.features_versions import versions
from tidemark_cli.options import AsJson, Project
from tidemark_cli.output import note, print_json, print_table, say
from tidemark_cli.projects import project_named

app = typer.Typer(
    no_args_is_help=True,
    help="""Look at a project's features, compare versions of them, and make their rows.

    `versions`, `backfill`, `prune` and `plan --redis` ask a store; the others read
    the definitions only, and nothing has to run.""",
)
for command in (plan, versions, backfill, prune):
    app.command()(command)
app.command("compile")(compile_features)


@app.command("list")
def list_features(*, project: Project = None, as_json: AsJson = False) -> None:
    """List views and their features: entity, type, window, owner, how fresh, when stale, who uses them.

    For example:

        tidemark features list --project examples.flights
    """
    described = describe_project(project_named(project))
    if as_json:
        print_json(described)
        return
    rows = [
        (
            f"{view}.{name}",
            entity_of(kept),
            one["type"],
            duration(one["window_us"]),
            duration(kept["ttl_us"]),
            objective(kept["freshness_us"]),
            kept["owner"] or "-",
            ", ".join(one["models"]) or "-",
        )
        for view, kept in described["views"].items()
        for name, one in kept["features"].items()
    ]
    rows += [
        (name, "-", "RequestTime", "-", "-", "-", "-", ", ".join(one["models"]) or "-")
        for name, one in described["requests"].items()
    ]
    columns = ["feature", "entity", "type", "window", "stale after", "readable within", "owner", "models"]
    print_table(columns, rows, empty="The project declares no feature.")


@app.command()
def describe(
    name: Annotated[
        str, typer.Argument(help="A view, a feature by its full name, or a dimension.", show_default=False)
    ],
    *,
    project: Project = None,
    as_json: AsJson = False,
) -> None:
    """Show a view or a feature in full: its definition, the layout of its row, and what an entity costs.

    For example:

        tidemark features describe origin_departures.mean_delay_1h --project examples.flights
    """
    found = _find(describe_project(project_named(project)), name)
    if as_json:
        print_json(found)
    else:
        print_document(found)


@app.command()
def export(*, project: Project = None, as_json: AsJson = True) -> None:  # noqa: ARG001 - it is always JSON
    """Print the definitions as JSON, for a later `tidemark features diff`; --json changes nothing.

    For example:

        tidemark features export --project examples.flights > plan.json
    """
    print_json(describe_project(project_named(project)))


@app.command()
def diff(
    ref: Annotated[
        str,
        typer.Argument(help="An exported file, or a folder with another version.", show_default=False),
    ],
    *,
    project: Project = None,
    fail_on_breaking: Annotated[
        bool, typer.Option("--fail-on-breaking", help="Exit with 1 if something that is served would change.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the definitions with an older version of them: what it means for rows and models.

    For example:

        tidemark features diff plan.json --project examples.flights --fail-on-breaking
    """
    found = compare(_described_at(ref, project), describe_project(project_named(project)))
    if as_json:
        print_json(found)
    else:
        _print_changes(found)
    if fail_on_breaking and found["breaking"]:
        note("What a model is served would change: train it anew on the new definitions, then roll it out.")
        raise typer.Exit(FAILED)


@app.command("catalogue")
def write_catalogue(
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the page is written.")],
    title: Annotated[str, typer.Option(help="The page's title.")] = "Features",
    project: Project = None,
    as_json: AsJson = False,
) -> None:
    """Write a page about every feature: meaning, owner, when it is stale, sensitivity, users.

    For example:

        tidemark features catalogue --out examples/flights/FEATURES.md --project examples.flights
    """
    found = project_named(project)
    try:
        out.write_text(catalogue(found, title))
    except OSError as error:
        raise Failure(f"{out} cannot be written: {error.strerror}") from error
    if as_json:
        print_json({"written": str(out), "views": len(found.views)})
    else:
        say(f"{out} is written.")


def _find(described: Described, name: str) -> Described:
    views: Described = described["views"]
    if name in views:
        return {"view": name, **views[name]}
    if name in described["dimensions"]:
        return {"dimension": name, **described["dimensions"][name]}
    if name in described["requests"]:
        return {"feature": name, **described["requests"][name]}
    known = {f"{view}.{one}": (view, one) for view, kept in views.items() for one in kept["features"]}
    if name not in known:
        names = [*views, *known, *described["requests"], *described["dimensions"]]
        raise Failure(f"there is no {name!r}. {did_you_mean(name, names)}")
    view, feature = known[name]
    kept: Described = views[view]
    shared = {
        key: kept[key]
        for key in (
            "entity",
            "key",
            "asked_for",
            "source",
            "ttl_us",
            "freshness_us",
            "owner",
            "sensitivity",
            "row",
        )
    }
    return {"feature": name, **kept["features"][feature], **shared}


def _described_at(ref: str, project: str | None) -> Described:
    """Read an exported file, or export another version of the project in a process of its own."""
    where = Path(ref)
    if where.is_dir():
        command = [sys.executable, "-m", "tidemark_cli", "features", "export", "--project", project or ""]
        done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise Failure(f"the project in {ref} cannot be read: {done.stderr.strip()}")
        text = done.stdout
    else:
        try:
            text = where.read_text()
        except OSError as error:
            raise Failure(f"{ref} cannot be read: {error.strerror}") from error
    try:
        found: Any = json.loads(text)
        compare(found, found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        told = f"{ref} is no export of definitions; write one with `tidemark features export > plan.json`"
        raise Failure(told) from error
    else:
        return dict(found)


def _print_changes(found: Described) -> None:
    rows = [
        (
            name,
            one["change"],
            ", ".join([*one["fields"], *(f"{kept} {change}" for kept, change in one["features"].items())]),
            f"{one['bytes']['from']} to {one['bytes']['to']}",
            "to be backfilled" if one["backfill"] else "of no more use",
            ", ".join(one["models"]) or "-",
        )
        for name, one in found["views"].items()
    ]
    rows += [(name, change, "request-time", "-", "-", "-") for name, change in found["requests"].items()]
    rows += [(name, change, "contract", "-", "-", name) for name, change in found["models"].items()]
    columns = ["what", "change", "in it", "row bytes", "rows", "models"]
    print_table(columns, rows, empty="Nothing differs.")
