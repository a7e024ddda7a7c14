"""Measures Tidemark against floors and peers in the same run: `python -m bench [--only AREA]`.

Every module of this folder that has a `run() -> list[Row]` is an area; `bench.figures` says what a row is. A
claim that is not met, and an area that broke, make the exit code 1; an aim that is missed does not.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from bench.figures import unmet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Row

AREAS = ("bus", "store", "scoring", "growth", "rollback", "exact", "soak")
PARTS = ("forms",)
LOG_WIDTH = 190
RESULTS = Path(__file__).parent / "results.json"


def main(
    only: Annotated[
        str | None, typer.Option(help=f"One area: {', '.join(AREAS)}; or a part of one: {', '.join(PARTS)}.")
    ] = None,
) -> None:
    """Runs the benchmarks, prints a table and writes bench/results.json, replacing what was measured."""
    if only is not None and only not in AREAS + PARTS:
        raise typer.BadParameter(
            f"no area {only!r}; there are {', '.join(AREAS + PARTS)}", param_hint="--only"
        )
    console = Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)
    rows: list[Row] = []
    broken: list[str] = []
    for area in [only] if only else AREAS:
        console.print(
            f"[dim]measuring {area} on {os.cpu_count()} cores, Python {platform.python_version()} ...[/dim]"
        )
        try:
            found = importlib.import_module(f"bench.{area}").run()
        except Exception:  # noqa: BLE001 - an hour's other figures are not thrown away with it
            console.print(traceback.format_exc(), markup=False)
            broken.append(area)
            continue
        rows += found
        write(found, RESULTS, datetime.now(UTC).isoformat(timespec="seconds"))
    console.print(table(rows))
    for line in verdict(rows, broken):
        console.print(line, markup=False, highlight=False)
    raise typer.Exit(1 if broken or unmet(rows) else 0)


def write(rows: Sequence[Row], results: Path, measured_at: str) -> None:
    """Replaces the rows that were measured, keeps the others."""
    names = {row["name"] for row in rows}
    kept = json.loads(results.read_text(encoding="utf-8")) if results.exists() else []
    merged = [
        *(row for row in kept if row["name"] not in names),
        *(row | {"measured_at": measured_at} for row in rows),
    ]
    text = json.dumps(sorted(merged, key=lambda row: row["name"]), indent=2)
    results.write_text(text + "\n", encoding="utf-8")


def table(rows: Sequence[Row]) -> Table:
    """Return the figures as people read them."""
    made = Table(
        Column("measured", no_wrap=True),
        "value",
        "unit",
        "against",
        "its value",
        "ratio",
        "spread",
        "must be",
        "met",
        "aim",
    )
    met = {True: "[green]yes", False: "[red]no", None: "[dim]-"}
    for row in rows:
        made.add_row(
            row["name"],
            _number(row["value"]),
            row["unit"],
            row["reference"] or "",
            _number(row["reference_value"]),
            _number(row["ratio"]),
            _spread(row),
            str(row["must"] or ""),
            met[row["met"]],
            f"{row['aim']}: {met[row['aim_met']]}" if row.get("aim") else "",
        )
    return made


def verdict(rows: Sequence[Row], broken: Sequence[str]) -> list[str]:
    """Return in lines how many claims are met, which are not, and which areas broke."""
    claims = [row for row in rows if row["met"] is not None]
    missed = unmet(rows)
    return [
        f"{len(claims) - len(missed)} of {len(claims)} claims are met.",
        *(f"NOT MET  {row['name']}: {_found(row)}, must be {row['must']}" for row in missed),
        *(f"BROKEN   {area}: its figures were not measured; the error is above" for area in broken),
    ]


def _found(row: Row) -> str:
    judged = row["value"] if row["ratio"] is None else row["ratio"]
    if judged is None:
        return str(row["reference"])
    spread = _spread(row)
    return f"{_number(judged)} ({spread})" if spread else _number(judged)


def _spread(row: Row) -> str:
    if not row.get("spread"):
        return ""
    least, most = map(_number, row["spread"])
    return f"{least} to {most} over {row['rounds']}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


if __name__ == "__main__":
    typer.run(main)
