"""What the person at the terminal sees while the demo runs."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from examples.flights.demo.telling import Happening

_PLAIN_SECONDS = 10.0


class Display:
    """A line a step, and a bar with a live line where a step is long; plain lines where no terminal looks."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()

    def step(self, text: str) -> None:
        """Says what happens next."""
        self._console.print(f"[dim]{self._elapsed()}[/dim]  {text}")

    def happened(self, happening: Happening) -> None:
        """Says what happened in the story, with its event time."""
        style = "yellow" if happening.is_bad else "cyan"
        text = escape(happening.text)
        self._console.print(f"[dim]{self._elapsed()}[/dim]  [{style}]{day(happening.time_us)}[/]  {text}")

    @contextmanager
    def bar(self, title: str, total: float) -> Iterator[Callable[[float, str], None]]:
        """Gives a function that moves the bar to `done` of `total` and sets the line beside it."""
        if not self._console.is_terminal:
            yield self._plain(title, total)
            return
        columns = (
            TextColumn("        {task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[line]}", style="dim"),
        )
        with Progress(*columns, console=self._console, transient=False) as progress:
            task = progress.add_task(title, total=total, line="")
            yield lambda done, line: progress.update(task, completed=done, line=line)

    def _plain(self, title: str, total: float) -> Callable[[float, str], None]:
        spoken = time.monotonic()

        def move(done: float, line: str) -> None:
            nonlocal spoken
            if time.monotonic() - spoken >= _PLAIN_SECONDS:
                spoken = time.monotonic()
                self.step(f"{title} {done / max(total, 1e-9):.0%}  {line}")

        return move

    def _elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        return f"{minutes:>2}:{seconds:02}"


def day(time_us: int) -> str:
    """A moment of event time as people say it."""
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%d %b %H:%M")
