"""`tidemark rollback`: the version before, back at once, and the proof that every replica follows."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from tidemark_cli.control_plane import ControlPlane
from tidemark_cli.failures import FAILED
from tidemark_cli.models import Model
from tidemark_cli.options import DEFAULT_CONTROL_PLANE, Actor, AsJson, ControlPlaneUrl, who_acts
from tidemark_cli.output import complain, print_json, print_table, say

_LOOK_SECONDS = 0.02
_SERVE = "serve"

Followers = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Following:
    """How the replicas took up a route.

    Attributes:
        followers: Every live replica, as it was last heard of.
        seconds: By replica that answers requests, how long after the question it was first seen to follow.
        missing: Those that did not follow within the wait.
    """

    followers: Followers
    seconds: dict[str, float]
    missing: list[str]


def rollback(
    model: Model,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it stays in the audit.")],
    *,
    wait: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for the replicas to follow.")
    ] = 10.0,
    actor: Actor = None,
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    as_json: AsJson = False,
) -> None:
    """Bring the champion before back, at once, and wait until every replica follows.

    A rollout that runs is aborted. The time told is from the question to the
    last live replica that answers by the old route again. Exit code 1 if some
    do not within --wait; the route is in force all the same.

    For example:

        tidemark rollback flight-delay --reason "the new version is wrong about UA"

        tidemark rollback flight-delay --reason "wrong" --wait 30 --json | jq .followed_after_ms
    """
    control_plane = ControlPlane(url, actor=who_acts(actor))
    began = time.monotonic()
    route, _ = control_plane.post(f"/v1/models/{model}/rollback", {"reason": reason})
    following = await_followers(
        lambda: control_plane.items(f"/v1/models/{model}/route/followers"),
        route["revision"],
        wait_seconds=wait,
        clock=lambda: time.monotonic() - began,
        pause=lambda: time.sleep(_LOOK_SECONDS),
    )
    if as_json:
        print_json(_values(route, following))
    else:
        _show(model, route, following)
    if following.missing:
        complain(
            f"{', '.join(following.missing)} did not follow within {wait:g} s: "
            f"`tidemark route show {model}` says what they answer by, their logs say why"
        )
        raise typer.Exit(FAILED)


def await_followers(
    look: Callable[[], Followers],
    revision: int,
    *,
    wait_seconds: float,
    clock: Callable[[], float],
    pause: Callable[[], None],
) -> Following:
    """Looks until every live replica that answers requests does so by a revision, or a newer one.

    Args:
        look: Asks which replicas there are.
        revision: The route's.
        wait_seconds: When to give up, by `clock`.
        clock: Seconds since the question was asked.
        pause: Waits a moment between two looks.
    """
    seconds: dict[str, float] = {}
    while True:
        followers = look()
        now = clock()
        missing = []
        for one in followers:
            if one["role"] != _SERVE:
                continue
            if one["serving_revision"] >= revision:
                seconds.setdefault(one["replica"], now)
            else:
                missing.append(one["replica"])
        if not missing or now >= wait_seconds:
            return Following(followers, seconds, missing)
        pause()


def _values(route: dict[str, Any], following: Following) -> dict[str, Any]:
    return {
        "route": route,
        "followed_after_ms": _last_ms(following),
        "replicas": [
            dict(one) | {"followed_after_ms": _milliseconds(following.seconds.get(one["replica"]))}
            for one in following.followers
        ],
        "missing": following.missing,
    }


def _show(model: str, route: dict[str, Any], following: Following) -> None:
    say(f"{route['champion']['version']} is champion of {model} again, by revision {route['revision']}.")
    last_ms = _last_ms(following)
    if last_ms is not None:
        say(f"The last live replica followed after {last_ms:,.0f} ms.")
    rows = [
        [
            one["replica"],
            one["role"],
            str(one["serving_revision"]),
            _told_ms(following.seconds.get(one["replica"])),
            one.get("detail") or one.get("reason") or "",
        ]
        for one in following.followers
    ]
    columns = ["replica", "role", "answers by revision #", "followed after #", "why not"]
    print_table(columns, rows, empty="No live replica was heard of: nobody answers requests now.")


def _last_ms(following: Following) -> float | None:
    """Returns when the last one followed; None while one does not, and if there is none."""
    if following.missing or not following.seconds:
        return None
    return _milliseconds(max(following.seconds.values()))


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _told_ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:,.0f} ms"
