"""`tidemark route`: which version serves, which ones answer a share beside it, and which ones shadow it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from tidemark_cli.arms import arms_in_words, read_arm, read_segment, segments_in_words
from tidemark_cli.control_plane import ControlPlane
from tidemark_cli.models import Model
from tidemark_cli.options import DEFAULT_CONTROL_PLANE, Actor, AsJson, ControlPlaneUrl, who_acts
from tidemark_cli.output import print_facts, print_json, print_table, say

app = typer.Typer(
    no_args_is_help=True,
    help="""See and set which version of a model serves.

    The champion's answers are returned, or those of arms set beside it. Shadows
    score the same vectors and answer nobody. A change reaches every replica at once, and each is counted:
    the revision.""",
)


@app.command("show")
def show_route(
    model: Model, *, url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE, as_json: AsJson = False
) -> None:
    """Show the route in force, and which replicas answer by it.

    For example:

        tidemark route show flight-delay

        tidemark route show flight-delay --json | jq -r .champion.version
    """
    control_plane = ControlPlane(url)
    route = control_plane.get(f"/v1/models/{model}/route")
    followers = control_plane.items(f"/v1/models/{model}/route/followers")
    if as_json:
        print_json(route | {"followers": followers})
        return
    _show(route, as_json=False)
    say("\nreplicas that are alive")
    print_followers(followers, route["revision"])


@app.command("history")
def list_revisions(
    model: Model, *, url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE, as_json: AsJson = False
) -> None:
    """List every route the model ever had, the one in force first.

    For example:

        tidemark route history flight-delay
    """
    found = ControlPlane(url).items(f"/v1/models/{model}/route/revisions")
    if as_json:
        print_json(found)
        return
    rows = [(str(one["revision"]), one["changed_at"], _answering(one), _shadows(one)) for one in found]
    empty = f"{model} has no route yet: `tidemark route set {model} --champion VERSION`."
    print_table(["revision #", "changed", "arms", "shadows"], rows, empty=empty)


@app.command("set")
def set_route(  # noqa: PLR0913 - one for each option
    model: Model,
    champion: Annotated[str, typer.Option(metavar="VERSION", help="The version whose answers are returned.")],
    shadows: Annotated[
        list[str] | None,
        typer.Option("--shadow", metavar="VERSION", help="A version that shadows it; may be given again."),
    ] = None,
    *,
    arms: Annotated[
        list[str] | None,
        typer.Option(
            "--arm",
            metavar="NAME=VERSION:SHARE",
            help="Answers that share of requests, in percent; the champion has the rest. May be given again.",
        ),
    ] = None,
    segments: Annotated[
        list[str] | None,
        typer.Option(
            "--segment",
            metavar="'NAME: ARMS if CONDITIONS'",
            help="Requests with arms of their own; the first that holds counts. May be given again.",
        ),
    ] = None,
    sticky: Annotated[
        str,
        typer.Option(
            metavar="ENTITY", help="Whose key says who meets which arm; the request's when left out."
        ),
    ] = "",
    salt: Annotated[
        str, typer.Option(metavar="TEXT", help="Another one deals anew; the model's name when left out.")
    ] = "",
    if_revision: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Only if the route is still at this revision; any when left out."
        ),
    ] = None,
    actor: Actor = None,
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    as_json: AsJson = False,
) -> None:
    """Set the route, whole: what is not named neither serves nor shadows.

    Versions must be registered, and their packages still be what was registered.
    Asking for what is in force changes nothing. With --if-revision a change that
    somebody else made meanwhile is not overwritten: the command fails instead.

    An arm of 0 answers nobody and is kept warm: set the green one so, see by
    `tidemark route show` that every replica follows, then name it champion.

    For example:

        tidemark route set flight-delay --champion gradient-boosting-3f9a1c2b7d04

        tidemark route set flight-delay --champion A --shadow B --shadow C --if-revision 3

        tidemark route set flight-delay --champion A --arm b=B:25 --arm c=C:25 --sticky carrier

        tidemark route set flight-delay --champion A --segment 'jfk: b=B:100 if entity.origin=JFK'
    """
    body: dict[str, Any] = {"champion": champion, "shadows": shadows or []}
    experiment = {
        "arms": [read_arm(arm) for arm in arms or ()],
        "segments": [read_segment(segment) for segment in segments or ()],
        "sticky_entity": sticky,
        "salt": salt,
    }
    body |= {name: value for name, value in experiment.items() if value}
    if_match = None if if_revision is None else f'"{if_revision}"'
    found = ControlPlane(url, actor=who_acts(actor)).put(f"/v1/models/{model}/route", body, if_match=if_match)
    _show(found, as_json=as_json)


def _show(route: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(route)
        return
    print_facts(
        {
            "model": route["model"],
            "champion": route["champion"]["version"],
            "arms": arms_in_words(route["arms"]),
            **_experiment(route),
            "shadows": _shadows(route),
            "revision": route["revision"],
            "changed at": route["changed_at"],
        }
    )


def print_followers(followers: Sequence[Mapping[str, Any]], revision: int) -> None:
    """Prints what each live replica answers by; `revision` is the one that it should."""
    rows = [
        [
            one["replica"],
            one["role"],
            str(one["serving_revision"]),
            "yes" if one["serving_revision"] >= revision else "not yet",
            f"{one['age_seconds']:.1f} s ago",
            " ".join(part for part in (one.get("reason"), one.get("detail")) if part),
        ]
        for one in followers
    ]
    columns = ["replica", "role", "answers by revision #", "follows", "last heard #", "why not"]
    print_table(columns, rows, empty="None was heard of.")


def _experiment(route: dict[str, Any]) -> dict[str, str]:
    told = {"segments": segments_in_words(route["segments"]), "assigned by": route["sticky_entity"]}
    return {name: value for name, value in told.items() if value}


def _answering(route: dict[str, Any]) -> str:
    arms, segments = arms_in_words(route["arms"]), len(route["segments"])
    return f"{arms}; {segments} segment{'s'[: segments > 1]}" if segments else arms


def _shadows(route: dict[str, Any]) -> str:
    return ", ".join(shadow["version"] for shadow in route["shadows"]) or "none"
