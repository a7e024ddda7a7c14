"""`tidemark models`: what is registered."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from tidemark_cli.control_plane import ControlPlane
from tidemark_cli.documents import print_document
from tidemark_cli.options import DEFAULT_CONTROL_PLANE, Actor, AsJson, ControlPlaneUrl, who_acts
from tidemark_cli.output import print_json, print_table, say

app = typer.Typer(
    no_args_is_help=True,
    help="""Look at models and their versions, and register one.

    A version is a frozen package: once registered it never changes. Which
    version serves is the route's business, see `tidemark route`.""",
)

Model = Annotated[str, typer.Argument(help="The model's name, such as flight-delay.", show_default=False)]
Version = Annotated[
    str, typer.Argument(help="The version's name; `tidemark models versions MODEL` lists them.")
]


@app.command("list")
def list_models(*, url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE, as_json: AsJson = False) -> None:
    """List the models: how many versions, what serves.

    For example:

        tidemark models list

        tidemark models list --json | jq -r '.[].champion'
    """
    found = ControlPlane(url).items("/v1/models")
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["model"],
            str(one["versions"]),
            one["champion"] or "none yet",
            ", ".join(one["shadows"]) or "none",
            str(one["revision"]),
        )
        for one in found
    ]
    print_table(
        ["model", "versions #", "champion", "shadows", "revision #"],
        rows,
        empty="No model is registered yet: train one with `python -m trainer train MODEL --until DATE`.",
    )


@app.command("versions")
def list_versions(
    model: Model, *, url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE, as_json: AsJson = False
) -> None:
    """List a model's versions, the last registered first.

    For example:

        tidemark models versions flight-delay
    """
    found = ControlPlane(url).items(f"/v1/models/{model}/versions")
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["version"],
            one["stage"],
            f"{one['trained_from'][:10]} to {one['trained_until'][:10]}",
            f"{one['training_rows']:,}",
            _metrics(one),
            one["registered_at"],
        )
        for one in found
    ]
    print_table(
        ["version", "stage", "trained on", "rows #", "metrics", "registered"], rows, empty="It has none."
    )


@app.command("show")
def show_version(
    model: Model,
    version: Annotated[str | None, typer.Argument(help="A version; the model itself when left out.")] = None,
    *,
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    as_json: AsJson = False,
) -> None:
    """Show a model, or one of its versions with everything that is known of it.

    A version says which data, code and parameters made it: dataset snapshot,
    code commit, feature contract, metrics, and the digest that freezes it. And
    how far it has come: its stage, its owner and risk, who registered it, what
    the gates found, how it did beside the champion, and who approved it.

    For example:

        tidemark models show flight-delay

        tidemark models show flight-delay gradient-boosting-3f9a1c2b7d04
    """
    control_plane = ControlPlane(url)
    if version is None:
        found = control_plane.get(f"/v1/models/{model}")
    else:
        found = control_plane.get(f"/v1/models/{model}/versions/{version}")
        found["approval"] = _approval(control_plane, found["approval_id"])
    if as_json:
        print_json(found)
    else:
        print_document(found)


@app.command("register")
def register_version(
    model: Model,
    package_uri: Annotated[
        str, typer.Option("--package", metavar="URI", help="The package's folder, inside the package store.")
    ],
    digest: Annotated[str, typer.Option(metavar="SHA256", help="The digest that freezes the package.")],
    version: Annotated[
        str | None, typer.Option("--version", help="A name for it; the package's own when left out.")
    ] = None,
    *,
    actor: Actor = None,
    url: ControlPlaneUrl = DEFAULT_CONTROL_PLANE,
    as_json: AsJson = False,
) -> None:
    """Register a package as a version of a model.

    The trainer registers what it trains by itself: this is for a package that
    came another way. Every byte of it is verified. Repeating it does no harm; a
    name that belongs to another package is refused. Somebody else than you has
    to approve it before it may answer requests.

    For example:

        tidemark models register flight-delay --package /data/packages/3f9a... --digest 3f9a...
    """
    body = {"package_uri": package_uri, "digest": digest} | ({"version": version} if version else {})
    found, created = ControlPlane(url, actor=who_acts(actor)).post(f"/v1/models/{model}/versions", body)
    if as_json:
        print_json(found)
    else:
        say(f"{found['version']} of {model} " + ("is registered." if created else "was registered before."))


def _approval(control_plane: ControlPlane, approval_id: str) -> dict[str, Any]:
    """Returns how a version's approval stands: who decided, why, and which gates they waived."""
    found = control_plane.get(f"/v1/approvals/{quote(approval_id, safe='')}")
    return {name: found[name] for name in ("state", "decided_by", "decided_at", "comment", "waived_gates")}


def _metrics(version: dict[str, Any]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in sorted(version["metrics"].items()))
