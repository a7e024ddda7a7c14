"""What is said when a definition makes no sense, and where the definition stands."""

from __future__ import annotations

import difflib
import inspect
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_LIBRARY: Final = f"{Path(__file__).resolve().parent}{os.sep}"


@dataclass(frozen=True, slots=True)
class Location:
    """A line of a file, as editors and terminals link to it."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def caller() -> Location | None:
    """Return the innermost running line outside this library: where a definition is being written."""
    frame = inspect.currentframe()
    while frame is not None:
        file = frame.f_code.co_filename
        # A dataclass's generated __init__ runs in a file called "<string>".
        if not file.startswith((_LIBRARY, "<")):
            return Location(file, frame.f_lineno)
        frame = frame.f_back
    return None


class DefinitionError(Exception):
    """A project's definition makes no sense.

    The message names the place, the definition, what is wrong with it and what to write instead.
    """

    def __init__(
        self, definition: str, problem: str, *, instead: str = "", at: Location | None = None
    ) -> None:
        self.definition = definition
        self.problem = problem
        self.instead = instead
        self.location = at
        place = f"{at}: " if at else ""
        remedy = f" {instead}" if instead else ""
        super().__init__(f"{place}{definition}: {problem}.{remedy}")


class UnsoundExpressionError(Exception):
    """An expression, or a check, does not fit the fields it is to read."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}")
        self.problem = problem
        self.remedy = remedy


class UnknownNameError(UnsoundExpressionError):
    """It reads a name that its scope does not have."""


class TypeMismatchError(UnsoundExpressionError):
    """It applies an operator to values it has no meaning for."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that leads from a wrong name to the right one."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {', '.join(names)}." if names else "None is declared."
