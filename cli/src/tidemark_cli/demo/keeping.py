"""A demo that outlives the command that started it.

The demo runs in a process behind (a session of its own) that holds the stack and every service. Until it has
lived, it belongs to the command in front: it dies with it, and Ctrl-C there stops it. Then it hands over: it
notes where it is, cuts the tie, and the command in front ends. Nothing is ever without an owner: whatever
happens to the process behind, the kernel and the stack's guardian end what it started.
"""

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

from tidemark_cli.failures import Failure
from tidemark_cli.platform.die_with_parent import tie_command, untie

DEFAULT_FOLDER = Path("build/demo")
_STOP_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class KeptDemo:
    """The demo that is kept in a folder, if one is."""

    folder: Path

    @property
    def environment_path(self) -> Path:
        """A file for a shell to source, with where everything is."""
        return self.folder / "environment"

    @property
    def stop_command(self) -> str:
        """What a person writes to stop it."""
        command = ["tidemark", "demo", "--stop"]
        return shlex.join(
            command if self.folder == DEFAULT_FOLDER else [*command, "--folder", str(self.folder)]
        )

    @property
    def _note_path(self) -> Path:
        return self.folder / "kept.json"

    def process(self) -> psutil.Process | None:
        """Returns the process behind, if it runs."""
        try:
            note = json.loads(self._note_path.read_text(encoding="utf-8"))
            process = psutil.Process(note["pid"])
            # The id may have been given to another process since, or wait for somebody to collect it.
            same = process.create_time() == note["created"] and process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, ValueError, KeyError, psutil.NoSuchProcess):
            return None
        return process if same else None

    def refuse_if_kept(self) -> None:
        """Raises `Failure` if a demo still runs in the folder."""
        if self.process():
            raise Failure(f"a demo still runs in {self.folder}: stop it with `{self.stop_command}`")

    def stop(self) -> bool:
        """Stops the kept demo with everything it started; False if there was none."""
        process = self.process()
        if process is not None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait()
        self._forget()
        return process is not None

    async def hold(self, environment: Mapping[str, str], *, handover_fd: int, exit_code: int) -> None:
        """Hands over to nobody: from here on this process lives until SIGTERM, when this returns.

        The command in front ends with `exit_code`.
        """
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        self._note(environment)
        _leave_terminal(self.folder / "demo.log")
        untie()
        os.write(handover_fd, bytes([exit_code]))
        os.close(handover_fd)
        try:
            await stop.wait()
        finally:
            self._forget()

    def _note(self, environment: Mapping[str, str]) -> None:
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(environment.items())]
        self.environment_path.write_text("".join(lines), encoding="utf-8")
        note = {"pid": os.getpid(), "created": psutil.Process().create_time()}
        self._note_path.write_text(json.dumps(note), encoding="utf-8")

    def _forget(self) -> None:
        self.environment_path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command behind ended for the one in front: its exit code, and whether it runs on, held."""

    exit_code: int
    held: bool


def run_behind(command: Sequence[str]) -> Ended:
    """Runs a command that gets one more argument, the descriptor to hand over on, in a process behind.

    Returns when it has ended or holds. An interrupt stops it, a second one kills it; this process ends soon
    after, so its signal handlers are not put back.
    """
    reading, writing = os.pipe()
    behind = subprocess.Popen(  # noqa: S603 - this very program
        [*tie_command(os.getpid()), *command, str(writing)],
        stdin=subprocess.DEVNULL,
        pass_fds=(writing,),
        start_new_session=True,
    )
    os.close(writing)
    asked = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            behind.kill()
        else:
            behind.terminate()
        asked = True

    _on_interrupt(interrupt)
    handed_over = os.read(reading, 1)
    os.close(reading)
    if handed_over:
        _on_interrupt(signal.SIG_IGN)  # it belongs to nobody now: too late to interrupt it from here
    if handed_over and not asked:
        return Ended(handed_over[0], held=True)
    return Ended(behind.wait(), held=False)


def _on_interrupt(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def this_program(*arguments: str) -> list[str]:
    """Returns the command that runs `tidemark` with these arguments."""
    return [sys.executable, "-m", "tidemark_cli", *arguments]


def _leave_terminal(log_path: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    with log_path.open("ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
