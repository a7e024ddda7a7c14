"""Ties a process's life to its parent's, then becomes the command it was given.

Run as `python die_with_parent.py <parent pid> <command...>` by a bare interpreter, so it may import the
standard library only. The kernel sends SIGKILL when the thread that started this process ends, even by
SIGKILL; the tie survives `exec`. Systems other than Linux have no such tie: there a parent that is killed
outright leaves its children.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tie_command(parent_pid: int) -> list[str]:
    """Returns what to put before a command so that it dies with that parent."""
    return [sys.executable, "-I", "-S", __file__, str(parent_pid)]


def tie_to(parent_pid: int) -> None:
    """Asks the kernel for SIGKILL at the parent's death; exits if that has already come."""
    _set_death_signal(signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit("the parent ended before its child began")


def untie() -> None:
    """Lets this process outlive its parent after all."""
    _set_death_signal(0)


def _set_death_signal(number: int) -> None:
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number) != 0:
        sys.exit("the kernel refused PR_SET_PDEATHSIG")


if __name__ == "__main__":
    tie_to(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - becoming the given command is this file's purpose
