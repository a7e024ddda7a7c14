"""Server processes: started in a session of their own, found again by anyone, ended within a deadline.

A server is recognised by its executable and its working folder, which is inside its stack's folder. No pid
file can be stale, and a process that only mentions the folder (an editor, `tail -f`) is never mistaken for a
server.
"""

import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

EXECUTABLES = frozenset({"java", "valkey-server"})
STOP_DEADLINE_SECONDS = 15.0
_KILL_DEADLINE_SECONDS = 5.0
_POLL_SECONDS = 0.02
_LOG_TAIL_BYTES = 4_000


def spawn(command: Sequence[str], *, home: Path, log: Path) -> psutil.Popen:
    """Start a server in its home folder, with its output to its log, out of reach of a terminal's Ctrl-C."""
    with log.open("ab") as output:
        return psutil.Popen(
            list(command),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def find_servers(folder: Path) -> dict[str, psutil.Process]:
    """Find the living servers of a stack folder, whoever started them, by the name of their home."""
    folder = folder.resolve()
    found: dict[str, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if Path(process.exe().removesuffix(" (deleted)")).name not in EXECUTABLES:
                continue
            home = Path(process.cwd().removesuffix(" (deleted)"))
            if home.parent == folder and is_alive(process):
                found[home.name] = process
    return found


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process runs, and reap it if it is our child that ended.

    One that ended but was not reaped by its parent does not run. One whose first thread ended before the
    others, as a JVM's does for a moment, still does: it holds its ports and locks.
    """
    if isinstance(process, psutil.Popen):
        return process.poll() is None
    try:
        is_zombie = process.status() == psutil.STATUS_ZOMBIE
        return process.is_running() and (not is_zombie or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


def stop_all(
    processes: Sequence[psutil.Process], deadline_seconds: float = STOP_DEADLINE_SECONDS
) -> list[psutil.Process]:
    """End processes with SIGTERM, and with SIGKILL those that run after the deadline, which it returns."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
            process.resume()  # a paused process would not see the signal
    left = wait_gone(processes, deadline_seconds)
    kill_all(left)
    return left


def kill_all(processes: Sequence[psutil.Process]) -> None:
    """End processes at once with SIGKILL, and wait until they are gone."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_gone(processes, _KILL_DEADLINE_SECONDS)


def wait_gone(processes: Sequence[psutil.Process], deadline_seconds: float) -> list[psutil.Process]:
    """Wait until processes have ended, and return those that still run."""
    ends_at = time.monotonic() + deadline_seconds
    while left := [process for process in processes if is_alive(process)]:
        if time.monotonic() > ends_at:
            break
        # psutil's own wait would wait for another parent to reap its child, which in a container may be never
        time.sleep(_POLL_SECONDS)
    return left


def log_tail(log: Path, since_byte: int = 0) -> str:
    """Return the last lines that a server wrote to its log after the given position."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(since_byte, size - _LOG_TAIL_BYTES))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""
