"""What a user sees of a stack's work, on stderr: a progress bar on a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class ConsoleProgress:
    """Shows downloads and notices on a rich console."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = Console(stderr=True) if console is None else console
        self._bar: Progress | None = None

    def notice(self, text: str) -> None:
        """Say something that the user should know."""
        self._console.print(text, highlight=False, soft_wrap=True)

    @contextmanager
    def downloading(self, what: str, files: int) -> Iterator["ConsoleProgress"]:
        """Begin a download of so many files."""
        if not self._console.is_terminal:
            self.notice(f"Downloading {what}: {files} files, once; they are kept for every later start")
            yield self
            self.notice(f"Downloaded {what}")
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as self._bar:
            self._bar.add_task(f"Downloading {what}", total=files)
            yield self
        self._bar = None

    def fetched(self, name: str, size_bytes: int) -> None:
        """Say that one more file is there."""
        if self._bar is None:
            self.notice(f"  {name} ({size_bytes / 1e6:.1f} MB)")
        else:
            self._bar.advance(self._bar.task_ids[0])
