"""`tidemark audit`: who changed what, and whether that record is whole."""

from typing import Annotated, Any

import typer

from tidemark_cli.control_plane import ControlPlane
from tidemark_cli.documents import told
from tidemark_cli.failures import FAILED
from tidemark_cli.options import DEFAULT_CONTROL_PLANE, AsJson, ControlPlaneUrl
from tidemark_cli.output import complain, print_json, print_table, say

app = typer.Typer(
    no_args_is_help=True,
    help="""See who changed what, and check that nobody changed the record.

    Every change is a link of a chain: its hash covers what was done and the hash
    of the link before, so none can be changed or taken out unseen.""",
)


@app.command("list")
def list_links(
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest ones.")] = 50,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Only what was done to this model.")
    ] = None,
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    as_json: AsJson = False,
) -> None:
    """List what was done, by whom, the first one first.

    For example:

        tidemark audit list

        tidemark audit list --model flight-delay --limit 500 --json | jq -r '.[].actor' | sort | uniq -c
    """
    found = ControlPlane(url).items("/v1/audit")
    newest = [one for one in found if model in {None, one["model"]}][-limit:]
    if as_json:
        print_json(newest)
        return
    columns = ["#", "when", "who", "what", "model", "to what", "details"]
    print_table(columns, [_row(one) for one in newest], empty="Nothing was done yet.")


@app.command("verify")
def verify_chain(*, url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE, as_json: AsJson = False) -> None:
    """Check the whole chain; exit code 1, and the first broken link, if it does not hold.

    For example:

        tidemark audit verify
    """
    found = ControlPlane(url).get("/v1/audit/verify")
    if as_json:
        print_json(found)
    elif found["verified"]:
        say(f"The audit is whole: {found['links']:,} links, the last one {found['head_hash'] or 'none'}.")
    if not found["verified"]:
        complain(f"the audit is broken at link {found['broken_at']}: {found['reason']}")
        raise typer.Exit(FAILED)


def _row(one: dict[str, Any]) -> list[str]:
    return [
        str(one["sequence"]),
        one["recorded_at"],
        one["actor"],
        one["action"],
        one["model"],
        one["subject"],
        told(one["details"]),
    ]
