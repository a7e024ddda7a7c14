"""`tidemark approvals`, `approve` and `reject`: what waits for somebody's word, and giving it."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from tidemark_cli.control_plane import ControlPlane
from tidemark_cli.documents import print_document
from tidemark_cli.failures import Failure, Refused
from tidemark_cli.options import DEFAULT_CONTROL_PLANE, Actor, AsJson, ControlPlaneUrl, who_acts
from tidemark_cli.output import print_json, print_table, say
from tidemark_cli.words import pick

app = typer.Typer(
    no_args_is_help=True,
    help="""See what waits for somebody's word, and on what evidence.

    Every registered version and every requested retraining waits to be approved.
    `tidemark approve` and `tidemark reject` decide. Nobody approves what they
    registered themselves.""",
)

Approval = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The approval, as `approvals list` names it; a part, such as a version's name, will do if "
        "only one has it.",
        show_default=False,
    ),
]
_PENDING = "pending"
_PATH = "/v1/approvals"


@app.command("list")
def list_approvals(
    *,
    pending: Annotated[bool, typer.Option("--pending", help="Only those that nobody has decided.")] = False,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Only those of this model.")
    ] = None,
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    as_json: AsJson = False,
) -> None:
    """List what waits for somebody's word, and what was decided.

    For example:

        tidemark approvals list --pending

        tidemark approvals list --model flight-delay --json | jq -r '.[].approval_id'
    """
    chosen = ({"state": _PENDING} if pending else {}) | ({"model": model} if model else {})
    found = ControlPlane(url).items(_PATH, **chosen)
    if as_json:
        print_json(found)
        return
    columns = ["state", "approval", "asked", "asked by", "decided by", "why"]
    empty = "Nothing waits for a decision." if pending else "Nothing was ever put to anybody's decision."
    print_table(columns, [_row(one) for one in found], empty=empty)


@app.command("show")
def show_approval(
    approval: Approval, *, url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE, as_json: AsJson = False
) -> None:
    """Show an approval with the evidence to decide on.

    A version shows its gates, and how it did on held-out requests beside the
    champion. A retraining shows what drifted, and on how many requests.

    For example:

        tidemark approvals show gradient-boosting-3f9a1c2b7d04

        tidemark approvals show retrain:flight-delay:persistent-drift:2013-06-17T00:00:00Z --json
    """
    control_plane = ControlPlane(url)
    found = control_plane.get(_address(_meant(control_plane, approval)))
    if as_json:
        print_json(found)
        return
    # What the approval is about, with its evidence, is shown as if it were the approval's own.
    about = (found.pop("version", None) or {}) | (found.pop("request", None) or {})
    print_document(found | {name: fact for name, fact in about.items() if name not in found})


def approve(
    approval: Approval,
    *,
    comment: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; demanded if a gate is waived.")
    ] = None,
    waive_gates: Annotated[
        list[str] | None,
        typer.Option(
            "--waive-gate", metavar="GATE", help="A gate that failed and shall not count; may be given again."
        ),
    ] = None,
    actor: Actor = None,
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    as_json: AsJson = False,
) -> None:
    """Approve a version, or a retraining.

    An approved version may answer requests, by `tidemark rollout start`. An
    approved retraining is trained at once. A version that failed a gate is
    approved only with that gate waived, and the reason stays in the audit.

    For example:

        tidemark approve gradient-boosting-3f9a1c2b7d04 --comment "better since the spring"

        tidemark approve shuffled-labels-0c1d2e3f4a5b --waive-gate latency --comment "a bigger machine comes"
    """
    body = {"decision": "approve", "comment": comment or "", "waive_gates": waive_gates or []}
    _decide(ControlPlane(url, actor=who_acts(actor)), approval, body, as_json=as_json)


def reject(
    approval: Approval,
    comment: Annotated[str, typer.Option(metavar="TEXT", help="Why; it stays in the audit.")],
    *,
    actor: Actor = None,
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    as_json: AsJson = False,
) -> None:
    """Reject a version, or a retraining.

    A rejected version never answers a request. A rejected retraining is not
    trained; its policy may ask again after its cooldown.

    For example:

        tidemark reject gradient-boosting-3f9a1c2b7d04 --comment "worse for UA: 0.61 against 0.58"
    """
    body = {"decision": "reject", "comment": comment, "waive_gates": []}
    _decide(ControlPlane(url, actor=who_acts(actor)), approval, body, as_json=as_json)


def _decide(control_plane: ControlPlane, approval: str, body: object, *, as_json: bool) -> None:
    meant = _meant(control_plane, approval)
    try:
        found, _ = control_plane.post(f"{_address(meant)}/decision", body)
    except Refused as refused:
        if not refused.gates:
            raise
        waived = " ".join(f"--waive-gate {gate}" for gate in refused.gates)
        raise Failure(f"{refused} Here: `tidemark approve {meant} {waived} --comment WHY`") from refused
    if as_json:
        print_json(found)
    else:
        say(f"{meant} is {found['state']}.")


def _meant(control_plane: ControlPlane, given: str) -> str:
    """Returns the id that is meant; where several could be, the only one that still waits."""
    every = control_plane.items(_PATH)
    return pick(
        given,
        [one["approval_id"] for one in every],
        what="approval",
        look="tidemark approvals list",
        likely=[one["approval_id"] for one in every if one["state"] == _PENDING],
    )


def _address(approval_id: str) -> str:
    return f"{_PATH}/{quote(approval_id, safe='')}"


def _row(one: dict[str, Any]) -> list[str]:
    return [
        one["state"],
        one["approval_id"],
        one.get("requested_at") or "",
        one.get("requested_by") or "",
        one.get("decided_by") or "",
        one.get("comment") or one.get("reason") or "",
    ]
