"""A stack's folder: who may use it, what a crash left in it, what is said about it to other processes."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from local_stack import guardian, processes
from local_stack.errors import FolderInUseError

_GUARDIAN_DEADLINE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Owner:
    """Who started the stack, as the folder says it.

    Attributes:
        pid: The process that started it.
        detached: Whether the servers were meant to outlive that process.
        kafka: Whether the stack has a Kafka.
        valkey_nodes: How many Valkey nodes it has.
    """

    pid: int
    detached: bool
    kafka: bool
    valkey_nodes: int


class StackFolder:
    """The folder of one stack. Locked by the process that owns it; the system releases the lock when that process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self._lock = FileLock(self.path / "lock")

    def acquire(self) -> None:
        """Take the folder for this process.

        Raises:
            FolderInUseError: Another living process has it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            owner = self.owner()
            who = f"process {owner.pid}" if owner else "another process"
            raise FolderInUseError(self.path, who, "Use another folder, or stop that process.") from None
        guardian.wait_for_predecessor(self.path, _GUARDIAN_DEADLINE_SECONDS)

    def release(self) -> None:
        """Give the folder back."""
        self._lock.release()

    def owner(self) -> Owner | None:
        """Read who started the stack last; None when nobody did, or the note is not readable."""
        try:
            return Owner(**json.loads(self._note.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write_owner(self, owner: Owner) -> None:
        """Note who started the stack."""
        beside = self._note.with_suffix(".new")
        beside.write_text(json.dumps(asdict(owner)))
        beside.replace(self._note)

    def running(self) -> dict[str, psutil.Process]:
        """Find the servers that run on this folder, by name."""
        return processes.find_servers(self.path)

    @property
    def _note(self) -> Path:
        return self.path / "stack.json"
