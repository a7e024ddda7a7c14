"""Ends the servers of a stack when the process that owns them is gone, however it went.

Run as `python -m local_stack.guardian OWNER_PID OWNER_STARTED FOLDER`. A process of its own, because a death signal (prctl) is
bound to the thread that started the server, is Linux only, and needs code between fork and exec.
"""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
from filelock import FileLock

from local_stack import processes

# The end of the owner wakes the guardian at once; the second look is for an owner whose parent never reaps it.
_LOOK_AGAIN_SECONDS = 2.0
_LOCK_NAME = "guardian.lock"


def appoint(folder: Path) -> psutil.Popen:
    """Start a guardian that watches over the calling process's servers in the folder."""
    owner = psutil.Process()
    return psutil.Popen(
        [
            sys.executable,
            "-m",
            "local_stack.guardian",
            str(owner.pid),
            repr(owner.create_time()),
            str(folder),
        ],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_for_predecessor(folder: Path, deadline_seconds: float) -> None:
    """Wait until the guardian of a crashed owner has stopped what it left, so that it can't take our servers for those."""
    with FileLock(folder / _LOCK_NAME, timeout=deadline_seconds):
        pass


def watch(owner_pid: int, owner_started: float, folder: Path) -> None:
    """Wait until the owner is gone, then stop every server in its folder."""
    with FileLock(folder / _LOCK_NAME):
        with suppress(psutil.NoSuchProcess):
            owner = psutil.Process(owner_pid)
            while owner.create_time() == owner_started and processes.is_alive(owner):
                with suppress(psutil.TimeoutExpired):
                    owner.wait(_LOOK_AGAIN_SECONDS)
        processes.stop_all(list(processes.find_servers(folder).values()))


if __name__ == "__main__":
    watch(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
