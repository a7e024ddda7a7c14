"""`tidemark`: the command line as a whole."""

import logging
from typing import Any

import typer
from local_stack.cli import app as stack
from typer.core import TyperGroup

from tidemark_cli import (
    alerts,
    approvals,
    audit,
    dataset,
    dead_letters,
    features,
    models,
    quality,
    retrainings,
    rollouts,
    routes,
)
from tidemark_cli.demo.command import demo
from tidemark_cli.explain import explain
from tidemark_cli.failures import INTERRUPTED, Failure
from tidemark_cli.forget import forget
from tidemark_cli.output import complain
from tidemark_cli.retention import retention
from tidemark_cli.rollback import rollback
from tidemark_cli.score_batch import score_batch
from tidemark_cli.tail import tail
from tidemark_cli.topics import topics


class _Commands(TyperGroup):
    """Turns failures into one line on stderr and an exit code."""

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
app.command()(demo)
app.add_typer(stack, name="stack")
app.add_typer(dataset.app, name="dataset")
app.command()(score_batch)
app.add_typer(models.app, name="models")
app.add_typer(routes.app, name="route")
app.add_typer(alerts.app, name="alerts")
app.add_typer(retrainings.app, name="retrain")
app.add_typer(approvals.app, name="approvals")
app.command()(approvals.approve)
app.command()(approvals.reject)
app.add_typer(rollouts.app, name="rollout")
app.command()(rollback)
app.add_typer(audit.app, name="audit")
app.command()(explain)
app.command()(topics)
app.command()(tail)
app.add_typer(dead_letters.app, name="dlq")
app.add_typer(features.app, name="features")
app.add_typer(quality.app, name="quality")
app.command()(forget)
app.command()(retention)
