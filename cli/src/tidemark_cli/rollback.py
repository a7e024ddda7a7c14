"""`tidemark rollback`: the version before, back at once, and the proof that every replica follows."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from tidemark_cli.control_plane import ControlPlane
from tidemark_cli.failures import FAILED
from tidemark_cli.models import Model
from tidemark_cli.options import DEFAULT_CONTROL_PLANE, Actor, AsJson, ControlPlaneUrl, who_acts
from tidemark_cli.output import complain, print_json, print_table, say

_ANSWERING = frozenset({"serve", "stream"})
# The control plane waits no longer.
_LONGEST_WAIT_SECONDS = 60.0

Replicas = Sequence[Mapping[str, Any]]


def rollback(
    model: Model,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it stays in the audit.")],
    *,
    wait: Annotated[
        float,
        typer.Option(
            min=0,
            max=_LONGEST_WAIT_SECONDS,
            metavar="SECONDS",
            help="How long to wait for the replicas to follow.",
        ),
    ] = 10.0,
    actor: Actor = None,
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    as_json: AsJson = False,
) -> None:
    """Bring the champion before back, at once, and wait until every replica follows.

    A rollout that runs is aborted; arms and segments that give requests to other
    versions are ended, and the champion stays. What was rolled back from does not come back
    by another rollback: that goes further back, and never forth. The time told
    is from the question to the last live replica that said it answers by the
    new route. Exit code 1 if some have not within --wait; the route is in force
    all the same.

    For example:

        tidemark rollback flight-delay --reason "the new version is wrong about UA"

        tidemark rollback flight-delay --reason "wrong" --wait 30 --json | jq .followed_after_ms
    """
    control_plane = ControlPlane(url, actor=who_acts(actor), patience_seconds=wait)
    found, _ = control_plane.post(f"/v1/models/{model}/rollback", {"reason": reason, "wait_s": wait})
    late = missing(found["replicas"])
    if as_json:
        print_json(found | {"followed_after_ms": last_ms(found["replicas"]), "missing": late})
    else:
        _show(model, found)
    if late:
        complain(
            f"{', '.join(late)} did not follow within {wait:g} s: "
            f"`tidemark route show {model}` says what they answer by, their logs say why; "
            "one that died counts as alive until it has missed three beats"
        )
        raise typer.Exit(FAILED)


def missing(replicas: Replicas) -> list[str]:
    """Returns the replicas that answer requests, and not by the new route; shadows answer nobody."""
    return [
        one["replica"] for one in replicas if one["role"] in _ANSWERING and one["followed_after_ms"] is None
    ]


def last_ms(replicas: Replicas) -> float | None:
    """Returns when the last replica that answers requests followed; None unless every one did."""
    times = [one["followed_after_ms"] for one in replicas if one["role"] in _ANSWERING]
    return None if None in times else max(times, default=None)


def _show(model: str, found: dict[str, Any]) -> None:
    say(f"{found['champion']['version']} is champion of {model} again, by revision {found['revision']}.")
    if found["rollout_id"]:
        say(f"Rollout {found['rollout_id']} of {found['withdrawn']} is aborted.")
    followed_ms = last_ms(found["replicas"])
    if followed_ms is not None:
        say(f"The last live replica that answers requests followed after {followed_ms:,.0f} ms.")
    rows = [
        [
            one["replica"],
            one["role"],
            str(one["serving_revision"]),
            "not yet" if one["followed_after_ms"] is None else f"{one['followed_after_ms']:,.0f} ms",
            f"{one['age_seconds']:.1f} s ago",
            " ".join(part for part in (one["reason"], one["detail"]) if part),
        ]
        for one in found["replicas"]
    ]
    columns = ["replica", "role", "answers by revision #", "followed after #", "last heard #", "why not"]
    print_table(columns, rows, empty="No live replica was heard of: nobody answers requests now.")
