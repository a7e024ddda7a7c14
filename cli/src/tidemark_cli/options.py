"""Options that several commands share, and where their values come from."""

import asyncio
import getpass
from collections.abc import Coroutine
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

import local_stack
import typer
from bus.errors import Unavailable

from tidemark_cli.failures import OutOfReach, WrongUsage

Result = TypeVar("Result")

DEFAULT_CONTROL_PLANE = "http://localhost:8080"
STACK_FOLDER = Path(".tidemark/stack")
_LONGEST_ACTOR = 128

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of text for people.")]
ControlPlaneUrl = Annotated[
    str,
    typer.Option(
        "--control-plane", envvar="TIDEMARK_CONTROL_PLANE_URL", metavar="URL", help="The control plane."
    ),
]
Kafka = Annotated[
    str | None,
    typer.Option(
        "--kafka",
        envvar="KAFKA_BOOTSTRAP_SERVERS",
        metavar="HOST:PORT",
        help="A Kafka broker; that of `tidemark stack up` in this folder when left out.",
    ),
]
Lake = Annotated[
    str, typer.Option("--lake", envvar="LAKE_URI", metavar="URI", help="The lake that the archiver keeps.")
]
Packages = Annotated[
    str, typer.Option(envvar="PACKAGES_URI", metavar="URI", help="Where packages of models are kept.")
]
RedisUrl = Annotated[
    str,
    typer.Option("--redis", envvar="REDIS_URL", metavar="URL", help="The store; of a cluster, any node."),
]
PrivacyKeyFile = Annotated[
    str,
    typer.Option(
        "--privacy-key-file",
        envvar="PRIVACY_KEY_FILE",
        metavar="FILE",
        help="The deployment's secret, the same file that the services have.",
    ),
]
Actor = Annotated[
    str | None,
    typer.Option(
        "--as",
        envvar="TIDEMARK_ACTOR",
        metavar="NAME",
        help="Who acts, for the audit; your user name on this machine when left out.",
    ),
]
Project = Annotated[
    str | None,
    typer.Option(
        "--project",
        envvar="TIDEMARK_PROJECT",
        metavar="MODULE",
        help="The project whose sources say how their events are written.",
    ),
]


def read_day(text: str) -> date:
    """Reads a day that an option names.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day, such as 2013-08-30") from None


def who_acts(given: str | None) -> str:
    """Returns who acts: who was named, or the user of this machine.

    Raises:
        WrongUsage: the name cannot be told to the control plane, or there is none.
    """
    actor = _user() if given is None else given
    if not actor or len(actor) > _LONGEST_ACTOR or not actor.isascii() or not actor.isprintable():
        raise WrongUsage(
            f"{actor!r} cannot stand in the audit: "
            f"name yourself with --as or TIDEMARK_ACTOR, 1 to {_LONGEST_ACTOR} printable ASCII characters"
        )
    return actor


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user need not have a name.
        return ""


def reach_kafka(given: str | None) -> str:
    """Returns the broker to ask: the one given, or that of the stack which runs in this folder.

    Raises:
        OutOfReach: there is neither.
    """
    if given:
        return given
    if STACK_FOLDER.is_dir():
        found = asyncio.run(local_stack.look_at(STACK_FOLDER)).environment().get("KAFKA_BOOTSTRAP_SERVERS")
        if found:
            return found
    raise OutOfReach(
        "no Kafka was named and no local one runs: start one with `tidemark stack up`, "
        "or set KAFKA_BOOTSTRAP_SERVERS to one that runs"
    )


def ask_kafka(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs work that talks to Kafka.

    Raises:
        OutOfReach: the broker does not answer, or has not what was asked for.
    """
    try:
        return asyncio.run(work)
    except Unavailable as error:
        raise OutOfReach(
            f"{error}. Is it the right broker, and does it run? `tidemark stack status` says what runs here, "
            "`tidemark stack up` starts a Kafka, `tidemark topics` lists what one has"
        ) from error
