"""`tidemark dataset`: training sets out of the lake."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from bus.clocks import wall_clock_us
from feature_store import Project as FeatureProject
from rich.console import Console
from training_sets import (
    Dataset,
    DatasetError,
    DatasetShelf,
    DeltaEvents,
    Difference,
    Manifest,
    Period,
    build,
    build_again,
    compare,
    find_model,
    lineage,
)
from training_sets.moments import parse_moment

from tidemark_cli.failures import Failure
from tidemark_cli.options import AsJson, Lake, Project
from tidemark_cli.output import print_facts, print_json, print_table, say
from tidemark_cli.projects import project_named

app = typer.Typer(
    no_args_is_help=True,
    help="""Build training sets from the lake, and look at them.

    A training set holds what was known when each question was asked, and no
    later word. Its name is made of its contents: the same definitions and the
    same table versions give the same name, the same rows and the same hash.""",
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_SHOWN = 20


def _moment(text: str) -> int:
    try:
        return parse_moment(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Name = Annotated[
    str, typer.Argument(help="A name from `tidemark dataset list`, or its beginning.", show_default=False)
]
Until = Annotated[
    int,
    typer.Option(
        parser=_moment,
        metavar="ISO",
        help="The end: requests are older, and what was recorded later is not known.",
        show_default=False,
    ),
]
From = Annotated[
    int | None,
    typer.Option(
        "--from", parser=_moment, metavar="ISO", help="The first request; all there are if left out."
    ),
]


@app.command("build")
def build_dataset(
    model: Annotated[str, typer.Argument(help="A model of the project.", show_default=False)],
    *,
    until: Until,
    project: Project = None,
    lake: Lake,
    from_: From = None,
    like: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Travel back: read no more than this kept training set saw of the lake."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Build a training set of MODEL and keep it.

    For example:

        tidemark dataset build flight-delay --until 2013-04-01
    """
    with _told():
        shelf, declared = DatasetShelf(lake), project_named(project)
        spec, period = find_model(declared, model), Period(from_, until)
        at = shelf.open(like).sources if like else None
        with _busy(f"reading the lake and computing the features of {model}"):
            made = build(declared, spec, period, DeltaEvents(lake), at)
        kept = shelf.keep(made, _described(made, declared, model, period))
    _show(kept, as_json=as_json)


@app.command("list")
def list_datasets(*, lake: Lake, as_json: AsJson = False) -> None:
    """List the training sets that are kept, by name.

    For example:

        tidemark dataset list
    """
    with _told():
        shelf = DatasetShelf(lake)
        found = [shelf.open(name) for name in shelf.names()]
    if as_json:
        print_json([one.to_json() for one in found])
        return
    rows = [
        (
            one.name,
            f"{one.rows:,}",
            f"{one.base_rate:.3f}",
            str(len(one.features)),
            f"{_time(one.first_request_us)} to {_time(one.last_request_us)}",
            _time(one.created_us),
        )
        for one in found
    ]
    print_table(
        ["name", "rows #", "label rate #", "features #", "requests", "built"],
        rows,
        empty="No training set is kept: `tidemark dataset build MODEL --until DATE` makes one.",
    )


@app.command("show")
def show_dataset(name: Name, *, lake: Lake, as_json: AsJson = False) -> None:
    """Show what a training set is made of.

    For example:

        tidemark dataset show flight-delay-3e6f
    """
    with _told():
        _show(DatasetShelf(lake).open(name), as_json=as_json)


@app.command("verify")
def verify_dataset(name: Name, *, project: Project = None, lake: Lake, as_json: AsJson = False) -> None:
    """Build a kept training set again, from what the lake held then, and compare.

    Exit code 1 when it comes out otherwise; the message says whether the
    definitions or the data differ.

    For example:

        tidemark dataset verify flight-delay-3e6f
    """
    with _told():
        kept = DatasetShelf(lake).open(name)
        with _busy(f"building {kept.name} again"):
            made = build_again(project_named(project), kept, DeltaEvents(lake))
    if as_json:
        print_json({"name": kept.name, "rows": len(made), "rows_hash": kept.rows_hash, "verified": True})
    else:
        say(f"{kept.name}: the same {len(made):,} rows, hash {kept.rows_hash[:12]}.")


@app.command("diff")
def diff_datasets(before: Name, after: Name, *, lake: Lake, as_json: AsJson = False) -> None:
    """Say what distinguishes two training sets: definitions, events, rows, labels, features.

    For example:

        tidemark dataset diff flight-delay-3f flight-delay-a0
    """
    with _told():
        shelf = DatasetShelf(lake)
        first, second = shelf.open(before), shelf.open(after)
        found = compare(first, second, (shelf.rows(first), shelf.rows(second)))
    if as_json:
        print_json({"before": first.name, "after": second.name, **asdict(found)})
    else:
        _show_difference(first, second, found)


@app.command("lineage")
def tell_lineage(
    name: Name,
    *,
    project: Project = None,
    lake: Lake,
    kafka: Annotated[
        str, typer.Option("--kafka", envvar="KAFKA_BOOTSTRAP_SERVERS", help="Names the topics' broker.")
    ] = "localhost:9092",
    emit: Annotated[
        bool, typer.Option("--emit", help="Send it where OPENLINEAGE_URL (or openlineage.yml) says.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell where a training set came from: topics, the lake's tables, views.

    With --json as OpenLineage events, each step a completed run.

    For example:

        tidemark dataset lineage flight-delay-3e6f

        tidemark dataset lineage flight-delay-3e6f --json | jq '.[].job.name'
    """
    with _told():
        kept, declared = DatasetShelf(lake).open(name), project_named(project)
        views = declared.contract(find_model(declared, kept.model).name).views
        events = list(lineage.lineage_of(kept, views, lake=_uri(lake), kafka=kafka))
    if emit:
        lineage.emit(events)
    told = [json.loads(lineage.to_json(event)) for event in events]
    if as_json:
        print_json(told)
        return
    rows = [
        (one["job"]["name"], ", ".join(_placed(source) for source in one["inputs"]), _placed(made))
        for one in told
        for made in one["outputs"]
    ]
    print_table(["step", "from", "to"], rows, empty="")


def _show(kept: Manifest, *, as_json: bool) -> None:
    if as_json:
        print_json(kept.to_json())
        return
    first = "the beginning" if kept.from_us is None else _time(kept.from_us)
    print_facts(
        {
            "name": kept.name,
            "model": kept.model,
            "period": f"{first} to {_time(kept.until_us)}",
            "rows": f"{kept.rows:,}, label rate {kept.base_rate:.4f}",
            "features": len(kept.features),
            "snapshot": kept.snapshot,
            "definition": kept.definition,
            "rows hash": kept.rows_hash,
            "built": _time(kept.created_us),
        }
    )
    print_table(
        ["table", "version #", "events #", "offsets"],
        [
            (topic, str(table.version), f"{table.rows:,}", _offsets(table.next_offsets))
            for topic, table in kept.sources.items()
        ],
        empty="",
    )


def _show_difference(before: Manifest, after: Manifest, found: Difference) -> None:
    if before.snapshot == after.snapshot:
        say(f"{before.name} and {after.name} are one.")
        return
    print_facts(
        {
            "definitions": ", ".join(found.definitions) or "the same",
            "features added": ", ".join(found.features_added) or "none",
            "features removed": ", ".join(found.features_removed) or "none",
            "rows of both": f"{found.rows_kept:,}",
            "rows added": f"{found.rows_added:,}",
            "rows removed": f"{found.rows_removed:,}",
            "labels changed": f"{found.labels_changed:,}",
        }
    )
    events = [(one.topic, f"{one.before:,}", f"{one.after:,}") for one in found.sources]
    print_table(["events of", "before #", "after #"], events, empty="Both saw the same number of events.")
    changed = [
        (one.feature, f"{one.rows:,}", f"{one.largest:.6g}") for one in found.features_changed[:_MOST_SHOWN]
    ]
    print_table(
        ["feature changed", "rows #", "largest #"], changed, empty="No feature of a common row differs."
    )


def _described(made: Dataset, project: FeatureProject, model: str, period: Period) -> Manifest:
    return Manifest.of(made, project, project.models[model], period, created_us=wall_clock_us())


def _placed(found: Mapping[str, Any]) -> str:
    return f"{found['namespace']}/{found['name']}"


def _uri(lake: str) -> str:
    return lake if "://" in lake else Path(lake).resolve().as_uri()


def _time(time_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%d %H:%M")


def _offsets(offsets: Mapping[int, int]) -> str:
    return " ".join(f"{partition}:{offset}" for partition, offset in sorted(offsets.items()))


@contextmanager
def _busy(what: str) -> Iterator[None]:
    with Console(stderr=True).status(what):
        yield


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except DatasetError as error:
        raise Failure(f"{type(error).__name__}: {error}") from error
