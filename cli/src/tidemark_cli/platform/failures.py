"""Errors that name the process, say what happened to it and quote the end of its log."""

import signal
from pathlib import Path

_LAST_LINES = 15
_LAST_BYTES = 16_384


class PlatformError(Exception):
    """A process of the platform did not do what it was started for."""


class ProcessDied(PlatformError):
    """A process ended that nobody asked to end."""

    def __init__(self, name: str, exit_code: int, log_path: Path) -> None:
        super().__init__(f"{name} {describe_exit(exit_code)}.{quote_log(log_path)}")
        self.name = name
        self.exit_code = exit_code


class NotReady(PlatformError):
    """A process runs but did not become ready within its deadline."""

    def __init__(self, name: str, seconds: float, reason: str, log_path: Path) -> None:
        super().__init__(f"{name} was not ready after {seconds:g} s: {reason}.{quote_log(log_path)}")
        self.name = name


class JobFailed(PlatformError):
    """A job ended with an exit code other than 0."""

    def __init__(self, name: str, exit_code: int, log_path: Path) -> None:
        super().__init__(f"the job {name} {describe_exit(exit_code)}.{quote_log(log_path)}")
        self.name = name
        self.exit_code = exit_code


def describe_exit(exit_code: int) -> str:
    """Says in words how a process ended; a negative code is the signal that ended it."""
    if exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


def quote_log(path: Path) -> str:
    """Returns where the log is and its last lines, ready to follow a sentence."""
    lines = last_lines(path)
    if not lines:
        return f" Its log {path} is empty."
    return f" The end of its log {path}:\n" + "\n".join(f"  {line}" for line in lines)


def last_lines(path: Path, count: int = _LAST_LINES) -> list[str]:
    """Returns up to `count` last lines of a log, reading only its end."""
    if not path.exists():
        return []
    with path.open("rb") as log:
        log.seek(0, 2)
        log.seek(max(0, log.tell() - _LAST_BYTES))
        return log.read().decode(errors="replace").splitlines()[-count:]
