"""What declarations have in common: where they stand, and what is said when they make no sense."""

from __future__ import annotations

import difflib
import inspect
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LIBRARY: Final = str(Path(__file__).resolve().parent)
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Location:
    """A line of a file, as editors and terminals link to it."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class DeclarationError(Exception):
    """A project's monitor or policy makes no sense.

    The message names the place, the declaration, what is wrong with it and what to write instead.
    """

    def __init__(
        self, declaration: str, problem: str, *, instead: str = "", at: Location | None = None
    ) -> None:
        self.declaration = declaration
        self.problem = problem
        self.instead = instead
        self.location = at
        place = f"{at}: " if at else ""
        remedy = f" {instead}" if instead else ""
        super().__init__(f"{place}{declaration}: {problem}.{remedy}")


def caller() -> Location | None:
    """Return the innermost running line outside this library: where a declaration is being written."""
    frame = inspect.currentframe()
    while frame is not None:
        file = frame.f_code.co_filename
        # A dataclass's generated __init__ runs in a file called "<string>".
        if not file.startswith((_LIBRARY, "<")):
            return Location(file, frame.f_lineno)
        frame = frame.f_back
    return None


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks one declaration's arguments; each check raises `DeclarationError` or returns nothing."""

    declaration: str
    at: Location | None

    def refuse(self, problem: str, instead: str = "") -> DeclarationError:
        """Return the error that says so."""
        return DeclarationError(self.declaration, problem, instead=instead, at=self.at)

    def name(self, what: str, value: Any) -> None:
        """Lower-case words with dashes: names stand in ids, fingerprints and file names."""
        if not (isinstance(value, str) and _NAME.fullmatch(value)):
            raise self.refuse(
                f"{what} {value!r} is not lower-case words with dashes", 'Write one such as "input-drift".'
            )

    def share(self, what: str, value: Any, *, zero: bool = False) -> None:
        """A number above 0 (or 0, if `zero`) and at most 1."""
        if not (_is_number(value) and 0 <= value <= 1 and (zero or value > 0)):
            least = "from 0" if zero else "above 0"
            raise self.refuse(f"{what} is {value!r}", f"Write a number {least} to 1.")

    def positive(self, what: str, value: Any) -> None:
        """A finite number above 0."""
        if not (_is_number(value) and 0 < value < float("inf")):
            raise self.refuse(f"{what} is {value!r}", "Write a number above 0.")

    def count(self, what: str, value: Any, *, least: int = 1) -> None:
        """A whole number of at least `least`."""
        if not (isinstance(value, int) and not isinstance(value, bool) and value >= least):
            raise self.refuse(f"{what} is {value!r}", f"Write a whole number of at least {least}.")

    def duration(self, what: str, value: Any, *, zero: bool = False) -> None:
        """A timedelta above 0 (or 0, if `zero`)."""
        if not (isinstance(value, timedelta) and (value > timedelta(0) or (zero and not value))):
            raise self.refuse(f"{what} is {value!r}", "Write a duration, such as timedelta(days=1).")

    def one_of(self, what: str, value: Any, known: Iterable[str]) -> None:
        """One of the known words."""
        words = list(known)
        if value not in words:
            raise self.refuse(f"{what} is {value!r}", did_you_mean(str(value), words))


def microseconds(duration: timedelta) -> int:
    """Return a duration in whole microseconds."""
    return duration // _MICROSECOND


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that leads from a wrong name to the right one."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {', '.join(names)}." if names else "None is declared."


def require_model(check: Checker, model: str, models: Mapping[str, Any]) -> None:
    """Refuse a declaration of a model that the project does not have."""
    if model not in models:
        raise check.refuse(f"the project has no model {model!r}", did_you_mean(model, models))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
