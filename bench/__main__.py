"""Measures Tidemark against floors and peers in the same run: `python -m bench [--only AREA]`.

Every module of this folder that has a `run() -> list[dict]` is an area; a row is {name, value, unit,
reference, reference_value, ratio, must, met}, its name starting with its table. `must` bounds the ratio (or
the value, where there is no reference) and says so in words; a claim that is not met makes the exit code 1.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

AREAS = ("bus", "store", "scoring", "rollback", "exact", "soak")
RESULTS = Path(__file__).parent / "results.json"


def main(
    only: Annotated[str | None, typer.Option(help=f"One area: {', '.join(AREAS)}.")] = None,
) -> None:
    """Runs the benchmarks, prints a table and writes bench/results.json, replacing what was measured."""
    if only is not None and only not in AREAS:
        raise typer.BadParameter(f"no area {only!r}; there are {', '.join(AREAS)}", param_hint="--only")
    console = Console()
    rows: list[dict[str, Any]] = []
    for area in [only] if only else AREAS:
        console.print(
            f"[dim]measuring {area} on {os.cpu_count()} cores, Python {platform.python_version()} ...[/dim]"
        )
        rows += importlib.import_module(f"bench.{area}").run()
    _write(rows)
    console.print(_table(rows))
    raise typer.Exit(0 if all(row["met"] is not False for row in rows) else 1)


def _write(rows: list[dict[str, Any]]) -> None:
    """Replaces the rows that were measured, keeps the others."""
    measured = {row["name"] for row in rows}
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    merged = [row for row in kept if row["name"] not in measured] + rows
    RESULTS.write_text(
        json.dumps(sorted(merged, key=lambda row: row["name"]), indent=2) + "\n", encoding="utf-8"
    )


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("measured", "value", "unit", "against", "its value", "ratio", "must be", "met")
    for row in rows:
        met = {True: "[green]yes", False: "[red]no", None: "[dim]-"}[row["met"]]
        table.add_row(
            row["name"],
            _number(row["value"]),
            row["unit"],
            row["reference"] or "",
            _number(row["reference_value"]),
            _number(row["ratio"]),
            str(row["must"] or ""),
            met,
        )
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


if __name__ == "__main__":
    typer.run(main)
