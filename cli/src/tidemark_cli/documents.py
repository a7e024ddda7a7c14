"""Showing what the control plane says of one thing: its facts, then each of its lists as a table.

It prints every field it is given, so that a field the control plane gains is seen here without a change.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tidemark_cli.output import print_facts, print_table, say
from tidemark_cli.words import figure

_METRICS = "metrics"
_OTHERS_METRICS = "champion_metrics"
_NOTHING: tuple[object, ...] = (None, "", [], {})


def print_document(document: Mapping[str, Any]) -> None:
    """Prints a document for people."""
    lists = {name: value for name, value in document.items() if _is_table(value)}
    print_facts({_title(name): told(value) for name, value in document.items() if name not in lists})
    for name, items in lists.items():
        say(f"\n{_title(name)}")
        print_items(items)


def print_items(items: Sequence[Mapping[str, Any]], *, empty: str = "None.") -> None:
    """Prints a list as a table; its columns are the fields that any of its items has something in."""
    rows = [_beside(item) for item in items]
    columns = [name for name in dict.fromkeys(key for row in rows for key in row) if _says(rows, name)]
    print_table([_title(name) for name in columns], [_cells(row, columns) for row in rows], empty=empty)


def told(fact: Any) -> str:
    """Returns a value in a line of text."""
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    if isinstance(fact, float):
        return figure(fact)
    if isinstance(fact, dict):
        return "  ".join(f"{name} {told(value)}" for name, value in fact.items()) or "none"
    if isinstance(fact, list):
        return ", ".join(map(told, fact)) or "none"
    return "none" if fact is None or fact == "" else str(fact)


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _title(name: str) -> str:
    return name.replace("_", " ")


def _cells(row: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    return ["" if row.get(name) in _NOTHING else told(row[name]) for name in columns]


def _says(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(row.get(name) not in _NOTHING for row in rows)


def _beside(item: Mapping[str, Any]) -> dict[str, Any]:
    """Makes a field of each metric, the champion's on the same requests beside the version's own."""
    others = item.get(_OTHERS_METRICS) or {}
    metrics = {
        name: figure(value) + (f" (champion {figure(others[name])})" if name in others else "")
        for name, value in (item.get(_METRICS) or {}).items()
    }
    rest = {name: value for name, value in item.items() if name not in {_METRICS, _OTHERS_METRICS}}
    return rest | metrics
