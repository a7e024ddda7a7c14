"""`tidemark rollout`: letting a version take over, a step at a time."""

import time
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import typer

from tidemark_cli.control_plane import ControlPlane
from tidemark_cli.documents import print_document
from tidemark_cli.failures import FAILED, Failure, OutOfReach, WrongUsage
from tidemark_cli.models import Model, Version
from tidemark_cli.options import DEFAULT_CONTROL_PLANE, Actor, AsJson, ControlPlaneUrl, who_acts
from tidemark_cli.output import note, print_json, print_json_line, print_table, say
from tidemark_cli.words import share

app = typer.Typer(
    no_args_is_help=True,
    help="""Let an approved version take over, a step at a time.

    First it shadows the champion, then it answers a growing share of the
    requests, then all of them, while the version before stands by. Each step is
    judged on what the two versions said of the same requests; too little data
    waits, doing worse ends it and the champion answers everything again.""",
)

_ENDED = {"completed", "aborted"}
_ABORTED = "aborted"
_LOOK_SECONDS = 1.0

Rollout = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="A rollout's id; the latest when left out.")
]


@app.command("start")
def start_rollout(  # noqa: PLR0913 - one for each option
    model: Model,
    version: Version,
    *,
    shadow_windows: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Windows to be compared in shadow first.")
    ] = None,
    step_windows: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Windows to be compared in each step.")
    ] = None,
    guard_windows: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Windows to stand by for once it answers all.")
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(metavar="PERCENTS", help="Its share of requests, step by step: 1,5,10,25,50."),
    ] = None,
    skip_shadow: Annotated[
        bool, typer.Option("--skip-shadow", help="Begin with the first step; demands a reason.")
    ] = False,
    unjudged: Annotated[
        bool,
        typer.Option(
            "--unjudged",
            help="Go on where no outcome says which version is better, as of rankings; demands a reason.",
        ),
    ] = False,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; it stays in the audit.")] = None,
    actor: Actor = None,
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    as_json: AsJson = False,
) -> None:
    """Start to roll a version out. It must be approved; one rollout a model runs at a time.

    A window is what the comparator compares at once, a stretch of event time.
    What is left out is the control plane's own choice.

    For example:

        tidemark rollout start flight-delay gradient-boosting-3f9a1c2b7d04

        tidemark rollout start flight-delay gradient-boosting-3f9a1c2b7d04 --steps 5,25,50 --step-windows 2
    """
    if skip_shadow and not reason:
        raise WrongUsage("--skip-shadow wants a --reason: it stays in the audit")
    if unjudged and not reason:
        raise WrongUsage("--unjudged wants a --reason: it stays in the audit")
    given: dict[str, Any] = {
        "shadow_windows": shadow_windows,
        "canary_basis_points": None if steps is None else basis_points(steps),
        "step_windows": step_windows,
        "guard_windows": guard_windows,
        "skip_shadow": skip_shadow or None,
        "unjudged": unjudged or None,
    }
    plan = {name: value for name, value in given.items() if value is not None}
    body = {"version": version, "plan": plan, "reason": reason or ""}
    found, _ = ControlPlane(url, actor=who_acts(actor)).post(_path(model), body)
    _show(found, as_json=as_json)


@app.command("list")
def list_rollouts(
    model: Model, *, url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE, as_json: AsJson = False
) -> None:
    """List a model's rollouts, the latest first.

    For example:

        tidemark rollout list flight-delay
    """
    found = ControlPlane(url).items(_path(model))
    if as_json:
        print_json(found)
        return
    rows = [
        [
            one["state"],
            one["rollout_id"],
            one["version"],
            share(one["weight_basis_points"]),
            one["changed_at"],
            one["reason"],
        ]
        for one in found
    ]
    columns = ["state", "rollout", "version", "share #", "changed", "why"]
    empty = f"{model} had no rollout yet: `tidemark rollout start {model} VERSION`."
    print_table(columns, rows, empty=empty)


@app.command("show")
def show_rollout(
    model: Model,
    rollout: Rollout = None,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Say each move until it ends; exit code 1 if it is aborted.")
    ] = False,
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    as_json: AsJson = False,
) -> None:
    """Show a rollout: its plan, where it is, and why.

    For example:

        tidemark rollout show flight-delay

        tidemark rollout show flight-delay --watch
    """
    control_plane = ControlPlane(url)
    if not watch:
        _show(_find(control_plane, model, rollout), as_json=as_json)
        return
    state = ""
    for one in _moves(control_plane, model, _find(control_plane, model, rollout)["rollout_id"]):
        if as_json:
            print_json_line(one)
        else:
            say(f"{one['changed_at']}  {one['state']}  {share(one['weight_basis_points'])}  {one['reason']}")
        state = one["state"]
    if state == _ABORTED:
        raise typer.Exit(FAILED)


@app.command("abort")
def abort_rollout(
    model: Model,
    *,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; it stays in the audit.")] = None,
    actor: Actor = None,
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    as_json: AsJson = False,
) -> None:
    """Stop the rollout that runs: the champion of before answers everything again.

    For example:

        tidemark rollout abort flight-delay --reason "the canary is slow"
    """
    control_plane = ControlPlane(url, actor=who_acts(actor))
    running = [one for one in control_plane.items(_path(model)) if one["state"] not in _ENDED]
    if not running:
        raise Failure(f"no rollout of {model} runs: `tidemark rollout list {model}` says how the last ended")
    address = f"{_path(model)}/{running[0]['rollout_id']}"
    found, _ = control_plane.post(f"{address}/abort", {"reason": reason or ""})
    _show(found, as_json=as_json)


def basis_points(percents: str) -> list[int]:
    """Reads shares such as `1,5,12.5` as basis points.

    Raises:
        WrongUsage: one is no share between 0 and 100, or they do not grow.
    """
    try:
        shares = [Decimal(percent.strip().removesuffix("%")) * 100 for percent in percents.split(",")]
    except InvalidOperation:
        shares = []
    whole = [int(one) for one in shares if one.is_finite() and one == int(one)]
    grow = all(before < after for before, after in zip([0, *whole], [*whole, 10_000], strict=True))
    if not shares or len(whole) < len(shares) or not grow:
        raise WrongUsage(
            f"--steps {percents!r} are no shares that grow between 0 and 100 percent, such as 1,5,10,25,50"
        )
    return whole


def _find(control_plane: ControlPlane, model: str, rollout: str | None) -> dict[str, Any]:
    if rollout is not None:
        found: dict[str, Any] = control_plane.get(f"{_path(model)}/{rollout}")
        return found
    latest = control_plane.get(_path(model), limit=1)["items"]
    if not latest:
        raise Failure(f"{model} had no rollout yet: `tidemark rollout start {model} VERSION`")
    return dict(latest[0])


def _moves(control_plane: ControlPlane, model: str, rollout: str) -> Iterator[dict[str, Any]]:
    """Yields the rollout as it is, and again whenever it has moved, until it has ended.

    A control plane that goes away meanwhile is waited for: the rollout lasts longer than its process.
    """
    revision, away = None, False
    while True:
        try:
            one = control_plane.get(f"{_path(model)}/{rollout}")
        except OutOfReach as reason:
            if not away:
                note(f"{reason}. Waiting for it")
            away = True
        else:
            away = False
            if one["revision"] != revision:
                yield one
                revision = one["revision"]
            if one["state"] in _ENDED:
                return
        time.sleep(_LOOK_SECONDS)


def _path(model: str) -> str:
    return f"/v1/models/{model}/rollouts"


def _show(rollout: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(rollout)
        return
    told = dict(rollout)
    told["share"] = share(told.pop("weight_basis_points"))
    print_document(told)
