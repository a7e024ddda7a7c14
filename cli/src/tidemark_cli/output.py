"""Showing results: tables and text for people, JSON for machines; results on stdout, all else on stderr."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

Row = Sequence[str]


def print_json(value: object) -> None:
    """Prints one JSON document, indented."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_json_line(value: object) -> None:
    """Prints one JSON document on one line, at once."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Sequence[Row], *, empty: str) -> None:
    """Prints rows under their columns, or a sentence when there are none.

    A column whose name ends in `#` holds numbers. Where nobody looks at a terminal, nothing is cut off.
    """
    console = _console()
    if not rows:
        console.print(empty, highlight=False)
        return
    table = Table(*(_column(name) for name in columns), box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table, highlight=False)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Prints names and what they are, one a line."""
    console = _console()
    table = Table(Column(style="bold", no_wrap=True), Column(overflow="fold"), box=None, show_header=False)
    for name, fact in facts.items():
        table.add_row(name, escape(str(fact)))
    console.print(table, highlight=False)


def say(text: str) -> None:
    """Prints a sentence."""
    _console().print(escape(text), highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """Prints a remark on stderr, which is no failure."""
    Console(stderr=True).print(escape(text), highlight=False, soft_wrap=True)


def complain(text: str) -> None:
    """Prints an error on stderr."""
    Console(stderr=True).print(f"[bold red]error:[/] {escape(text)}", highlight=False, soft_wrap=True)


def _console() -> Console:
    if sys.stdout.isatty():
        return Console()
    return Console(width=_WIDE)


def _column(name: str) -> Column:
    if name.endswith("#"):
        return Column(name.removesuffix("#").rstrip(), justify="right", no_wrap=True)
    return Column(name, overflow="fold")


_WIDE = 250
