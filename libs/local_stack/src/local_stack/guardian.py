"""Ends the servers of a stack when the process that owns them is gone, however it went.

Run as `python -m local_stack.guardian OWNER_PID OWNER_STARTED FOLDER`. A process of its own, because a
parent's death signal (prctl) is sent when the *thread* that started the server ends, needs code between fork
and exec, and is Linux only.
"""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from local_stack import processes
from local_stack.errors import FolderInUseError

# The end of the owner wakes the guardian at once; the second look is for an owner whose parent never reaps
# it.
_LOOK_AGAIN_SECONDS = 2.0
_DEADLINE_SECONDS = processes.STOP_DEADLINE_SECONDS * 2
_LOCK_NAME = "guardian.lock"


def appoint(folder: Path) -> psutil.Popen:
    """Start a guardian that watches over the servers in the folder for the calling process."""
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


def wait_for_predecessor(folder: Path) -> None:
    """Wait until the guardian of a crashed owner is done, lest it takes our servers for those it is to stop.

    Raises:
        FolderInUseError: It does not come to an end.
    """
    try:
        with FileLock(folder / _LOCK_NAME, timeout=_DEADLINE_SECONDS):
            pass
    except Timeout:
        remedy = "See which server does not stop, and end it."
        raise FolderInUseError(folder, "the guardian of a crashed owner", remedy) from None


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
