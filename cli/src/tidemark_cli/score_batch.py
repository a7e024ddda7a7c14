"""`tidemark score-batch`: scores of many past requests, out of files and the lake."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer
from batch_scoring import (
    BatchError,
    Choices,
    DeltaOutput,
    Input,
    Lake,
    Plan,
    ScoreTables,
    open_input,
    run,
)
from batch_scoring.lineage import lineage_of
from batch_scoring.planning import BATCH_ROWS, contract_of
from batch_scoring.scoring import COMMIT_BYTES
from bus.clocks import wall_clock_us
from feature_store import MissingKey
from feature_store.concealment import Concealment
from feature_store.secret_file import pseudonyms_for
from model_package import Package, PackageError
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from training_sets import DatasetError, lineage
from training_sets.moments import parse_moment

from tidemark_cli.failures import Failure, WrongUsage
from tidemark_cli.models import Model
from tidemark_cli.options import (
    DEFAULT_CONTROL_PLANE,
    AsJson,
    ControlPlaneUrl,
    Packages,
    PrivacyKeyFile,
    Project,
)
from tidemark_cli.options import Lake as LakeUri
from tidemark_cli.output import note, print_facts, print_json
from tidemark_cli.projects import project_named
from tidemark_cli.scored_version import package_to_score


class From(StrEnum):
    """Where features come from."""

    LAKE = "lake"
    GIVEN = "given"


class Nulls(StrEnum):
    """What becomes of a null."""

    REFUSE = "refuse"
    MISSING = "missing"


def _moment(text: str) -> int:
    try:
        return parse_moment(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def score_batch(  # noqa: PLR0913 - one parameter an option
    model: Model,
    *,
    input_: Annotated[
        str,
        typer.Option(
            "--input",
            metavar="PATH|URI",
            help="A Parquet file, a folder or a pattern of them, or a Delta table.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str,
        typer.Option(metavar="URI", help="Where the scores' Delta table is, or will be.", show_default=False),
    ],
    input_version: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Of a Delta table; its newest when left out.")
    ] = None,
    version: Annotated[
        str, typer.Option(metavar="VERSION", help="A registered version; the champion when left out.")
    ] = "",
    package: Annotated[
        str, typer.Option(metavar="FOLDER", help="A package's folder, instead of a registered version.")
    ] = "",
    features: Annotated[
        From, typer.Option(help="From the lake, as of each row's time; or given, a column a feature.")
    ] = From.LAKE,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT=COLUMN",
            help="Which column is entity.NAME, input.NAME, feature.NAME, request_time or request_key, where "
            "it is not called so; may be given again.",
        ),
    ] = None,
    as_of: Annotated[
        int | None,
        typer.Option(
            parser=_moment, metavar="ISO", help="Ask every row as of this time, instead of a time of its own."
        ),
    ] = None,
    nulls: Annotated[
        Nulls, typer.Option(help="Refuse a null key, input or feature, or read it as missing.")
    ] = Nulls.REFUSE,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Write this column of the input beside the score; may be given again. Those that requests "
            "are made of when left out.",
        ),
    ] = None,
    vectors: Annotated[bool, typer.Option("--vectors", help="Write the vectors too.")] = False,
    project: Project = None,
    lake: LakeUri = "build/lake",
    packages: Packages = "data/packages",
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    key_file: PrivacyKeyFile = "",
    batch_rows: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Rows in hand at once; part of what the job is.")
    ] = BATCH_ROWS,
    commit_mib: Annotated[
        int, typer.Option("--commit-mib", min=0, help="Scores written in one commit, in MiB; 0: each batch.")
    ] = COMMIT_BYTES >> 20,
    unlisted: Annotated[
        bool,
        typer.Option("--unlisted", help="Do not note the output in the lake, where `tidemark forget` looks."),
    ] = False,
    emit: Annotated[
        bool, typer.Option("--emit", help="Send the lineage where OPENLINEAGE_URL (or openlineage.yml) says.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be read and written; score nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score every row of the input with a version of MODEL.

    Each row is a request. Its features come from the lake, as they were known
    at the row's time, or stand in the input (--features given). The scores are
    a Delta table. Killed and run again, it goes on where it was: each row is in
    the table once, under the same prediction id.

    For example:

        tidemark score-batch flight-delay --input june.parquet --output scores/june

        tidemark score-batch flight-delay --input june.parquet --output june --column entity.origin=FROM

        tidemark score-batch flight-delay --input vectors --output scores/again --features given
    """
    choices = Choices(
        _roles(column or []), tuple(keep) if keep else None, vectors, nulls.value, as_of, batch_rows
    )
    target = DeltaOutput(output)
    with _told():
        found = package_to_score(model, version, package, packages, url)
        with Console(stderr=True).status(f"looking at {input_}"):
            rows = open_input(input_, input_version)
            plan = (
                _from_lake(rows, found, target, choices, project, lake, key_file)
                if features is From.LAKE
                else _given(rows, found, target, choices, project, key_file)
            )
        if dry_run:
            _show(_described(plan, output), as_json=as_json)
            return
        if not unlisted:
            _list(plan, target, lake)
        begun = time.perf_counter()
        scored = _run(plan, target, commit_mib << 20)
        seconds = time.perf_counter() - begun
    told = lineage_of(
        plan, lake=lake, output=target.uri, output_version=target.version, at_us=wall_clock_us()
    )
    if emit:
        lineage.emit([told])
    done = {
        **_described(plan, output),
        "rows_scored": scored,
        "seconds": round(seconds, 3),
        "rows_per_second": round(scored / seconds) if scored else 0,
        "output_version": target.version,
    }
    _show({**done, "lineage": json.loads(lineage.to_json(told))} if as_json else done, as_json=as_json)


def _from_lake(
    rows: Input,
    package: Package,
    output: DeltaOutput,
    choices: Choices,
    project: str | None,
    lake: str,
    key_file: str,
) -> Plan:
    declared = project_named(project)
    return Plan.of_lake(
        rows, package, output, choices, Lake(lake, declared, pseudonyms_for(declared, key_file))
    )


def _list(plan: Plan, output: DeltaOutput, lake: str) -> None:
    tables = ScoreTables(lake)
    if tables.has_lake:
        tables.add(output.uri, plan.job)
    else:
        note(
            f"there is no lake at {lake} to note the output in: an erasure reaches it only if it is named, "
            f"tidemark forget ... --scores {output.uri}"
        )


def _given(
    rows: Input, package: Package, output: DeltaOutput, choices: Choices, project: str | None, key_file: str
) -> Plan:
    if not project:
        return Plan.of_given(rows, package, output, choices)
    declared = project_named(project)
    contract = contract_of(declared, package.manifest.model)
    concealment = Concealment.of(declared, pseudonyms_for(declared, key_file))
    label = declared.models[contract.model].label.name
    return Plan.of_given(rows, package, output, choices, contract, concealment=concealment, label=label)


def _run(plan: Plan, output: DeltaOutput, commit_bytes: int) -> int:
    if plan.done and plan.done < plan.input.rows:
        note(f"{plan.done:,} rows are scored already: going on behind them")
    with _bar() as bar:
        task = bar.add_task("scoring", total=plan.input.rows, completed=plan.done, speed="")
        begun = time.perf_counter()

        def watch(scored: int) -> None:
            speed = (scored - plan.done) / (time.perf_counter() - begun)
            bar.update(task, completed=scored, speed=f"{speed:,.0f} rows/s")

        return run(plan, output, watch=watch, commit_bytes=commit_bytes)


def _described(plan: Plan, output: str) -> dict[str, Any]:
    asked = plan.job.asked
    return {
        "job": plan.job.id,
        "model": asked["model"],
        "version": asked["version"],
        "features": list(plan.scorer.package.manifest.feature_names),
        "features_from": asked["features"],
        "lake": {topic: table.to_json() for topic, table in plan.job.lake.items()},
        "input": plan.input.location,
        "input_files": len(plan.input.files),
        "input_version": asked["input"].get("version"),
        "input_columns": list(plan.columns.read),
        "rows": plan.input.rows,
        "rows_done_before": plan.done,
        "output": output,
        "output_columns": plan.schema.names,
    }


def _show(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    shown = {name.replace("_", " "): _text(value) for name, value in told.items() if name != "features"}
    print_facts(shown | {"features": f"{len(told['features'])}: {', '.join(told['features'])}"})


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{name} version {one['version']}" for name, one in value.items()) or "not read"
    return f"{value:,}" if isinstance(value, int | float) else str(value or "none")


def _roles(given: list[str]) -> dict[str, str]:
    """Reads `WHAT=COLUMN` pairs."""
    pairs = [one.partition("=") for one in given]
    for (what, equals, column), whole in zip(pairs, given, strict=True):
        if not (what and equals and column):
            raise WrongUsage(f"--column {whole} is no WHAT=COLUMN, such as entity.origin=ORIGIN")
    return {what: column for what, _, column in pairs}


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (BatchError, DatasetError, PackageError) as error:
        raise Failure(f"{type(error).__name__}: {error}") from error
    except MissingKey as error:
        raise Failure(str(error)) from error
