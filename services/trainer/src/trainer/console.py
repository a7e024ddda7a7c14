"""What a person sees of a training: steps on stderr as they go, the result on stdout."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Self

import typer
from model_package import Package
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from training_sets.datasets import Dataset
from training_sets.moments import parse_moment, show_moment

from trainer.judging import Evidence


class ConsoleSteps:
    """Shows each step with the time it takes, on stderr."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._current: TaskID | None = None

    @classmethod
    @contextmanager
    def shown(cls, console: Console) -> Iterator[Self]:
        """Show steps while the context lasts; at its end the last one is done, unless an error ended it."""
        columns = SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), TimeElapsedColumn()
        with Progress(*columns, console=console) as progress:
            steps = cls(progress)
            yield steps
            steps.finish()

    def begin(self, step: str) -> None:
        """See `Steps.begin`."""
        self.finish()
        self._current = self._progress.add_task(step, total=1)

    def finish(self) -> None:
        """The current step is done."""
        if self._current is not None:
            self._progress.update(self._current, completed=1)


def parse_time(text: str) -> int:
    """Microseconds since the epoch of an ISO 8601 time; UTC where it names no offset.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return parse_moment(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def version_result(package: Package, evidence: Evidence) -> dict[str, Any]:
    """What came of a training, for machines."""
    facts = package.manifest
    return {
        "model": facts.model,
        "version": package.version,
        "digest": package.digest,
        "package_uri": package.uri,
        "algorithm": facts.algorithm,
        "seed": facts.seed,
        "metrics": facts.metrics,
        "training_rows": facts.training_rows,
        "trained_from": show_moment(facts.trained_from_us),
        "trained_until": show_moment(facts.trained_until_us),
        "dataset_snapshot": facts.dataset_snapshot,
        "code_commit": facts.code_commit,
        "gates": [asdict(gate) for gate in evidence.gates],
        "evaluations": [asdict(part) for part in evidence.evaluations],
    }


def snapshot_result(dataset: Dataset) -> dict[str, Any]:
    """What a training set is, for machines."""
    times_us = dataset.labelled.requests.time_us
    return {
        "dataset_snapshot": dataset.snapshot(),
        "rows": len(dataset),
        "base_rate": float(dataset.labelled.labels.mean()),
        "first_request": show_moment(int(times_us.min())),
        "last_request": show_moment(int(times_us.max())),
        "dataset": dataset.describe(),
    }


def result_table(result: Mapping[str, Any]) -> Table:
    """The result for a person: one row a fact."""
    table = Table(show_header=False, box=None)
    for name, value in result.items():
        if isinstance(value, Mapping):
            for inner, figure in value.items():
                table.add_row(
                    f"{name}.{inner}", f"{figure:.4f}" if isinstance(figure, float) else str(figure)
                )
        elif name == "gates":
            for gate in value:
                told = "[green]passed[/]" if gate["passed"] else "[bold red]failed[/]"
                table.add_row(f"gate {gate['gate']}", f"{told}: {gate['reason']}")
        elif name != "evaluations":
            table.add_row(name, str(value))
    return table
