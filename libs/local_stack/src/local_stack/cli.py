"""`tidemark stack`: a real Kafka and a real Valkey from the command line.

The package's names are used through the package, which imports them at their first use: `--help` stays quick.
"""

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

import local_stack

Result = TypeVar("Result")

_DEFAULT_FOLDER = Path(".tidemark/stack")

app = typer.Typer(
    no_args_is_help=True,
    help="""Run a real Kafka and a real Valkey on this machine, with nothing but Python.

    `up` starts them and leaves them running, `status` says where they are,
    `down` stops them. Data, logs and configuration are in one folder: stopping
    keeps the data, and the next `up` in the same folder goes on with it.
    Several stacks run side by side in different folders.""",
)

Folder = Annotated[
    Path, typer.Option(help="The folder of the stack: data, logs, configuration.", show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of a table.")]


@app.command()
def up(
    *,
    folder: Folder = _DEFAULT_FOLDER,
    valkey_nodes: Annotated[
        int, typer.Option(min=1, max=3, help="1 for a single Valkey, 3 for a cluster of three.")
    ] = 1,
    kafka_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Kafka's port; a free one when left out.")
    ] = None,
    valkey_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The port of a single Valkey; a free one when left out."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start a Kafka and a Valkey, and leave them running.

    The first start downloads Kafka from Maven Central (43 MB) and keeps it in
    ~/.cache/tidemark. What already runs in the folder stays and what is missing
    is started, so it does no harm to repeat it. A server whose address is set in
    KAFKA_BOOTSTRAP_SERVERS or REDIS_URL is not started: that address is checked.

    For example:

        tidemark stack up

        tidemark stack up --kafka-port 9092 --valkey-port 6379

        tidemark stack up --folder /tmp/second --valkey-nodes 3 --json
    """
    if valkey_nodes == 2:
        raise typer.BadParameter(
            "write 1 for a single Valkey or 3 for a cluster", param_hint="--valkey-nodes"
        )
    kafka = local_stack.KafkaOptions(port=kafka_port)
    valkey = local_stack.ValkeyOptions(nodes=3 if valkey_nodes == 3 else 1, port=valkey_port)
    _show(_run(local_stack.bring_up(folder, kafka, valkey)), as_json=as_json)


@app.command()
def status(*, folder: Folder = _DEFAULT_FOLDER, as_json: AsJson = False) -> None:
    """Say which servers run in the folder, where, and whether they answer.

    Each is asked in its own protocol. The exit code is 0 when all answer, and 1
    when one does not.

    For example:

        tidemark stack status

        tidemark stack status --json | jq -r .environment.KAFKA_BOOTSTRAP_SERVERS
    """
    seen = _run(local_stack.look_at(folder))
    _show(seen, as_json=as_json)
    raise typer.Exit(0 if seen.state == "up" else 1)


@app.command()
def down(
    *,
    folder: Folder = _DEFAULT_FOLDER,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Delete the folder too, with all topics, keys and logs.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Stop the servers that run in the folder; their data stays.

    It also stops what a crashed process left running there. Servers that a
    living process owns (a demo, a test run) are left to that process. It does no
    harm to repeat it.

    For example:

        tidemark stack down

        tidemark stack down --delete-data
    """
    _show(_run(local_stack.take_down(folder, delete_data=delete_data)), as_json=as_json)


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        return asyncio.run(work)
    except local_stack.StackError as error:
        console = Console(stderr=True)
        console.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error


def _show(status: "local_stack.StackStatus", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(status.as_json(), indent=2))
        return
    console = Console()
    console.print(f"{status.folder} is [bold]{status.state}[/]", highlight=False, soft_wrap=True)
    if status.servers or status.given.environment():
        console.print(_table(status))
    for name, address in status.environment().items():
        console.print(f"export {name}={address}", highlight=False, soft_wrap=True)


def _table(status: "local_stack.StackStatus") -> Table:
    table = Table("server", "address", "state", "pid", Column("log", overflow="fold"))
    for name, address in status.given.environment().items():
        table.add_row(name, address, "[green]given, answers[/]", "", "")
    for server in status.servers:
        state = "[green]answers[/]" if server.problem is None else f"[red]{escape(server.problem)}[/]"
        table.add_row(server.name, server.address, state, str(server.pid or ""), server.log)
    return table
