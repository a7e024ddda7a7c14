"""What can go wrong with a stack, each as its own named error whose message says what to do."""

from collections.abc import Mapping, Sequence
from pathlib import Path


class StackError(Exception):
    """A local stack could not do what was asked."""


class PortInUseError(StackError):
    """A port that the caller fixed is taken by someone else."""

    def __init__(self, server: str, port: int) -> None:
        self.server = server
        self.port = port
        super().__init__(
            f"Port {port}, which was asked for {server}, is already in use on 127.0.0.1. "
            f"Stop what listens there, ask for another port, or leave the port out to get a free one."
        )


class FolderInUseError(StackError):
    """Another living process, or a stack started with `tidemark stack up`, owns the folder."""

    def __init__(self, folder: Path, owner: str, remedy: str) -> None:
        self.folder = folder
        super().__init__(f"The stack folder {folder} is in use by {owner}. {remedy}")


class ServerExitedError(StackError):
    """A server ended before it was ready."""

    def __init__(self, server: str, exit_code: int | None, log: Path, log_tail: str) -> None:
        self.server = server
        self.exit_code = exit_code
        self.log = log
        super().__init__(
            f"{server} ended (exit code {exit_code}) before it was ready. "
            f"Its log is {log}, and ends with:\n{log_tail}"
        )


class ServerNotReadyError(StackError):
    """A server runs, but did not answer its protocol within the deadline."""

    def __init__(self, server: str, reason: str, log: Path, log_tail: str) -> None:
        self.server = server
        self.log = log
        super().__init__(f"{server} is {reason}. Its log is {log}, and ends with:\n{log_tail}")


class DownloadError(StackError):
    """A file that a server needs could not be fetched, or is not the file that was pinned."""


class UnreachableError(StackError):
    """An address that was given does not answer."""

    def __init__(self, setting: str, address: str, reason: str) -> None:
        super().__init__(
            f"{setting} is {address}, which does not answer: {reason}. "
            f"Start what should answer there, correct {setting}, or unset it to have a local server started."
        )


class NothingStartedError(StackError):
    """None of the ways to get a Kafka and a Valkey worked."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = dict(reasons)
        lines: Sequence[str] = [f"  - {way}: {reason}" for way, reason in self.reasons.items()]
        super().__init__(
            "No Kafka and Valkey could be had. The ways, and why each did not work:\n" + "\n".join(lines)
        )
