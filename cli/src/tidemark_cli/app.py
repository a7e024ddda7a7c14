"""`tidemark`: the command line as a whole.

What a command needs is imported when it is called for: nobody waits for the libraries of the others.
"""

import logging
from functools import cache
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from tidemark_cli.failures import INTERRUPTED, Failure
from tidemark_cli.output import complain

_WHERE: Final = {
    "demo": "tidemark_cli.demo.command:demo",
    "stack": "local_stack.cli:app",
    "dataset": "tidemark_cli.dataset:app",
    "score-batch": "tidemark_cli.score_batch:score_batch",
    "models": "tidemark_cli.models:app",
    "route": "tidemark_cli.routes:app",
    "alerts": "tidemark_cli.alerts:app",
    "retrain": "tidemark_cli.retrainings:app",
    "approvals": "tidemark_cli.approvals:app",
    "approve": "tidemark_cli.approvals:approve",
    "reject": "tidemark_cli.approvals:reject",
    "rollout": "tidemark_cli.rollouts:app",
    "rollback": "tidemark_cli.rollback:rollback",
    "audit": "tidemark_cli.audit:app",
    "explain": "tidemark_cli.explain:explain",
    "topics": "tidemark_cli.topics:topics",
    "tail": "tidemark_cli.tail:tail",
    "dlq": "tidemark_cli.dead_letters:app",
    "features": "tidemark_cli.features:app",
    "quality": "tidemark_cli.quality:app",
    "forget": "tidemark_cli.forget:forget",
    "retention": "tidemark_cli.retention:retention",
}
"""Each command in the order of the help: a module, and the function or group of commands in it."""


@cache
def _command(name: str) -> Any:
    module, _, attribute = _WHERE[name].partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        group = get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name)(found)
    return get_command(alone)


class _Commands(TyperGroup):
    """Finds commands where they are, and turns failures into one line on stderr and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - they are always the same
        """Gives the commands' names."""
        return list(_WHERE)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as above
        """Gives a command; None where there is none of this name."""
        return _command(cmd_name) if cmd_name in _WHERE else None

    def invoke(self, ctx: Any) -> Any:
        """Runs a command."""
        # What cannot be done is said once, by us: a library's own warnings would stand in front of it.
        logging.getLogger().addHandler(logging.NullHandler())
        try:
            return super().invoke(ctx)
        except Failure as failure:
            complain(str(failure))
            raise typer.Exit(failure.exit_code) from failure
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="tidemark",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="""Run machine-learning models over live events, and see what they do.

    Begin with `tidemark demo`: it starts everything, lives through months of
    real flights and stops everything again. `tidemark demo --keep` leaves it
    running for the other commands to look at.

    Every command prints text for people, or JSON for machines with --json;
    results go to stdout, all else to stderr.

    Exit codes: 0 done, 1 it could not be done, 2 the command makes no sense,
    3 something that has to run does not answer, 130 interrupted.""",
)


@app.callback()
def _tidemark() -> None:
    """Holds the commands together; what is said of them stands above."""
