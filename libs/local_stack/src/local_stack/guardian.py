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

from local_stack import processes
from local_stack.folder import StackFolder

# The owner's end wakes the guardian at once; the second look is for an owner whose parent never reaps it.
_LOOK_AGAIN_SECONDS = 2.0


def appoint(folder: Path) -> psutil.Popen:
    """Start a guardian that watches over the servers in the folder for the calling process."""
    owner = psutil.Process()
    arguments = [str(owner.pid), repr(owner.create_time()), str(folder)]
    return psutil.Popen(
        [sys.executable, "-m", "local_stack.guardian", *arguments],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def watch(owner_pid: int, owner_started: float, folder: Path) -> None:
    """Wait until the owner is gone, then stop every server in its folder, unless another took it over."""
    with suppress(psutil.NoSuchProcess):
        owner = psutil.Process(owner_pid)
        while owner.create_time() == owner_started and processes.is_alive(owner):
            with suppress(psutil.TimeoutExpired):
                owner.wait(_LOOK_AGAIN_SECONDS)
    stack = StackFolder(folder)
    with stack.changing_hands():
        last = stack.owner()
        if last is not None and last.pid == owner_pid:
            processes.stop_all(list(stack.running().values()))


if __name__ == "__main__":
    watch(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
