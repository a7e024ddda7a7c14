"""A stack's folder: who may use it, what runs on it, what is said about it to other processes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from local_stack import processes
from local_stack.errors import FolderInUseError

_SETTLING_DEADLINE_SECONDS = processes.STOP_DEADLINE_SECONDS * 2


@dataclass(frozen=True, slots=True)
class Owner:
    """Who started the stack last.

    Attributes:
        pid: The process that started it.
        detached: Whether the servers were meant to outlive that process.
        servers: The names of its servers.
    """

    pid: int
    detached: bool
    servers: tuple[str, ...]


class StackFolder:
    """The folder of one stack, locked by the process that owns it; its end, however it comes, unlocks it."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self._note = self.path / "stack.json"
        self._lock = FileLock(self.path / "lock", thread_local=False)
        self._settling = FileLock(self.path / "settling.lock", thread_local=False)

    def acquire(self) -> None:
        """Take the folder for this process.

        Raises:
            FolderInUseError: Another living process, or another stack of this one, has it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            owner = self.owner()
            who = f"process {owner.pid}" if owner else "another process"
            raise FolderInUseError(self.path, who, "Use another folder, or end that process.") from None

    @property
    def is_mine(self) -> bool:
        """Whether this object has taken the folder."""
        return self._lock.is_locked

    def release(self) -> None:
        """Give the folder back."""
        self._lock.release()

    @contextmanager
    def changing_hands(self) -> Iterator[None]:
        """Settle, alone, what runs here and who owns it; a crashed owner's guardian may be at it too.

        Raises:
            FolderInUseError: Another does not come to an end with it.
        """
        try:
            self._settling.acquire(timeout=_SETTLING_DEADLINE_SECONDS)
        except Timeout:
            remedy = "See which server there does not stop, and end it."
            raise FolderInUseError(
                self.path, "a process that has been stopping its servers", remedy
            ) from None
        try:
            yield
        finally:
            self._settling.release()

    def owner(self) -> Owner | None:
        """Read who started the stack last; None when nobody did, or the note can't be read."""
        try:
            note = json.loads(self._note.read_text())
            return Owner(note["pid"], note["detached"], tuple(note["servers"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write_owner(self, owner: Owner) -> None:
        """Note who started the stack."""
        beside = self._note.with_suffix(".new")
        beside.write_text(json.dumps(asdict(owner)))
        beside.replace(self._note)

    def running(self) -> dict[str, psutil.Process]:
        """Find the servers that run on this folder, by name, whoever started them."""
        return processes.find_servers(self.path)
