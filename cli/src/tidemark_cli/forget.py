"""`tidemark forget`: a subject erased from every store, with a receipt in the audit."""

import time
from typing import Annotated, Any

import typer
from feature_store import MissingKey, Pseudonyms
from feature_store.errors import did_you_mean
from feature_store.online import StoreUnavailable
from feature_store.secret_file import read_pseudonyms
from privacy.erased import Erasure
from privacy.rows import RowsHeld
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from training_sets import DatasetError
from training_sets.erasing import LakeBusy

from tidemark_cli.control_plane import ControlPlane
from tidemark_cli.failures import Failure, WrongUsage
from tidemark_cli.forgetting.forgetting import Forgetting, Report
from tidemark_cli.forgetting.places import Found, Places
from tidemark_cli.options import (
    DEFAULT_CONTROL_PLANE,
    Actor,
    AsJson,
    ControlPlaneUrl,
    Kafka,
    Lake,
    PrivacyKeyFile,
    Project,
    RedisUrl,
    ask_kafka,
    reach_kafka,
    who_acts,
)
from tidemark_cli.output import print_facts, print_json, print_table, say
from tidemark_cli.projects import project_named

_PATH = "/v1/erasures"


def forget(  # noqa: PLR0913 - options of a command
    entity: Annotated[str, typer.Argument(help="The entity, as the project names it.", show_default=False)],
    key: Annotated[str, typer.Argument(help="Its key, as events carry it.", show_default=False)],
    *,
    reason: Annotated[str, typer.Option(help="Why, for the audit; no names.")] = "asked to be erased",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what there is, and change nothing.")
    ] = False,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URI",
            help="A table of scores to search that the lake's list does not have; may be given again.",
        ),
    ] = None,
    project: Project = None,
    key_file: PrivacyKeyFile = "",
    lake: Lake = "build/lake",
    redis_url: RedisUrl = "redis://localhost:6379/0",
    join_prefix: Annotated[
        str,
        typer.Option(envvar="PREDICTION_LOG_PREFIX", help="Of the shadow comparator's keys.", metavar="TEXT"),
    ] = "tm:join",
    kafka: Kafka = None,
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Erase what was recorded of a subject up to now, wherever it is kept.

    The first call asks for the erasure; somebody else approves it (`tidemark
    approve erasure:...`); the same call again carries it out: feature rows, the
    lake with its history, tables of scores, training sets. Killed at any point and run again it ends
    the same. Events recorded after the approval begin a new history. What stays in
    Kafka until its retention ends is obeyed by nobody, and told on the receipt.

    For example:

        tidemark forget customer 4711 --dry-run --project shop

        tidemark forget customer 4711 --reason "request 2026-17" --project shop
    """
    found = project_named(project)
    if entity not in found.entities:
        raise WrongUsage(f"there is no entity {entity!r}. {did_you_mean(entity, found.entities)}")
    pseudonyms = _pseudonyms(key_file)
    stored = pseudonyms.of(key) if entity in found.hashed_entities else key
    places = Places(
        found, entity, stored, lake, redis_url, reach_kafka(kafka), join_prefix, key, tuple(scores or ())
    )
    if dry_run:
        _show_found(ask_kafka(_guarded(places.look())), entity, as_json=as_json)
        return
    plane = ControlPlane(url, actor=who_acts(actor))
    asked = _ask(plane, entity, stored, pseudonyms, reason)
    if asked["state"] == "pending":
        _show_waiting(asked, as_json=as_json)
        return
    receipt = _carry_out(places, asked)
    closed, _ = plane.post(f"{_PATH}/{asked['erasure_id']}/receipt", {"receipt": receipt})
    _show_receipt(closed, as_json=as_json)


def _pseudonyms(key_file: str) -> Pseudonyms:
    try:
        found = read_pseudonyms(key_file)
    except MissingKey as error:
        raise Failure(str(error)) from error
    if found is None:
        raise WrongUsage(
            "erased subjects are remembered by a keyed hash: name the deployment's secret with "
            "--privacy-key-file or PRIVACY_KEY_FILE, the same as the services have"
        )
    return found


def _ask(
    plane: ControlPlane, entity: str, stored: str, pseudonyms: Pseudonyms, reason: str
) -> dict[str, Any]:
    """Ask for the erasure; what was asked for before and is not done yet is found again."""
    body = {
        "entity": entity,
        "subject": pseudonyms.subject(entity, stored),
        "key_id": pseudonyms.key_id,
        "reason": reason,
    }
    asked: dict[str, Any] = plane.post(_PATH, body)[0]
    return asked


def _carry_out(places: Places, asked: dict[str, Any]) -> dict[str, Any]:
    erasure = Erasure(
        asked["erasure_id"], asked["entity"], asked["subject"], asked["key_id"], asked["until_us"]
    )
    with _bar() as bar:
        task = bar.add_task("waiting for the announcement", total=None)

        def watch(report: Report) -> None:
            bar.update(task, description=report.doing, completed=report.done, total=report.total)

        forgetting = Forgetting(places, erasure, watch=watch, clock_us=lambda: time.time_ns() // 1000)
        return ask_kafka(_guarded(forgetting.run()))


async def _guarded(work: Any) -> Any:
    try:
        return await work
    except (StoreUnavailable, RowsHeld, LakeBusy) as error:
        raise Failure(f"{error}. Run the same command again: it goes on") from error
    except DatasetError as error:
        raise Failure(str(error)) from error


def _show_found(found: Found, entity: str, *, as_json: bool) -> None:
    if as_json:
        print_json(found.to_json())
        return
    rows = [(kind, name, f"{count:,}") for kind, name, count in found.lines()]
    rows += [("scores", uri, f"not reached: {why}") for uri, why in found.unreached.items()]
    print_table(["where", "what", "rows #"], rows, empty=f"Nothing is kept of this {entity}.")


def _show_waiting(asked: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(asked)
        return
    say(f"Asked for: {asked['erasure_id']}. Nothing is erased before somebody else approves it:")
    say(f"  tidemark approve {asked['approval_id']}")
    say("Then run the same command again.")


def _show_receipt(closed: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(closed)
        return
    receipt = closed["receipt"]
    say(f"{closed['erasure_id']} is carried out; the receipt is in the audit.")
    print_facts({"entity": closed["entity"], "subject": closed["subject"], "until": receipt["until"]})
    rows = [
        ("table", name, f"{one['rows']:,} rows, {one['files_deleted']} old files")
        for name, one in receipt["tables"].items()
    ]
    rows += [
        ("scores", uri, f"not reached: {why}") for uri, why in receipt.get("scores_not_reached", {}).items()
    ]
    rows += [("training set", name, f"{count:,} rows") for name, count in receipt["datasets"].items()]
    rows += [("feature row", name, fate) for name, fate in receipt["feature_rows"].items()]
    if receipt["waiting_predictions"]:
        rows.append(("prediction", "waiting for its outcome", f"{receipt['waiting_predictions']:,} deleted"))
    rows += [("topic", name, f"last copy gone by {gone}") for name, gone in receipt["topics"].items()]
    print_table(["where", "what", "done"], rows, empty="Nothing was there.")


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
