"""One service's process across its restarts: the same name, ports and log file."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from tidemark_cli.platform.die_with_parent import tie_command
from tidemark_cli.platform.specs import ProcessSpec

_ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGKILL})


class PlatformProcess:
    """A process that the supervisor started; `ports` maps environment variables to the ports it was given."""

    def __init__(
        self,
        spec: ProcessSpec,
        *,
        environment: Mapping[str, str],
        ports: Mapping[str, int],
        log_path: Path,
        on_death: Callable[["PlatformProcess"], None],
    ) -> None:
        self.spec = spec
        self.ports = dict(ports)
        self.log_path = log_path
        self._environment = dict(environment) | {name: str(port) for name, port in ports.items()}
        self._on_death = on_death
        self._process: asyncio.subprocess.Process | None = None
        self._exited: asyncio.Task[int] | None = None
        self._end_expected = False

    @property
    def name(self) -> str:
        """The name it has in this platform."""
        return self.spec.name

    @property
    def metrics_url(self) -> str:
        """Where its `/metrics`, `/healthz` and `/readyz` are."""
        return self.url("METRICS_PORT")

    def url(self, variable: str) -> str:
        """Where it answers on one of its ports, named by the port's environment variable."""
        return f"http://127.0.0.1:{self.ports[variable]}"

    @property
    def pid(self) -> int:
        """The id of the running process, or of the last one."""
        assert self._process is not None, f"{self.name} was never launched"
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How the last process ended (a signal as a negative number); None while one runs."""
        return self._process.returncode if self._process else None

    @property
    def running(self) -> bool:
        """Whether a process runs right now."""
        return self._process is not None and self._process.returncode is None

    async def launch(self) -> None:
        """Starts the process and returns at once; whether it is ready is another question."""
        command = [sys.executable, "-m", self.spec.module, *self.spec.arguments]
        self._end_expected = False
        with self.log_path.open("ab") as log:
            self._process = await spawn(command, self._environment, stdout=log, stderr=log)
        self._exited = asyncio.get_running_loop().create_task(self._process.wait(), name=f"{self.name} exits")
        self._exited.add_done_callback(self._notice_exit)

    async def wait(self) -> int:
        """Waits until the process has ended and returns its exit code."""
        assert self._exited is not None, f"{self.name} was never launched"
        return await asyncio.shield(self._exited)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process; one that usually ends a process makes its end an expected one."""
        if number in _ENDING:
            self._end_expected = True
        if self._process is not None and self.running:
            self._process.send_signal(number)

    async def stop(self, deadline_seconds: float) -> int:
        """Asks with SIGTERM, and kills what has not ended at the deadline; returns the exit code."""
        self.send(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.wait(), deadline_seconds)
        except TimeoutError:
            self.send(signal.SIGKILL)
            return await self.wait()

    def _notice_exit(self, _exited: asyncio.Task[int]) -> None:
        assert self._process is not None
        kill_rest_of_group(self._process)
        if not self._end_expected:
            self._on_death(self)


def kill_rest_of_group(process: asyncio.subprocess.Process) -> None:
    """Kills what a process that `spawn` started has itself started and left behind.

    To be called as soon as the process has ended: the id of its group stays its own while the group has
    members, but may be given to others once it has none.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def spawn(
    command: list[str], environment: Mapping[str, str], *, stdout: IO[bytes] | int, stderr: IO[bytes] | int
) -> asyncio.subprocess.Process:
    """Starts a command that dies with this process and that Ctrl-C in this terminal does not reach."""
    return await asyncio.create_subprocess_exec(
        *tie_command(os.getpid()),
        *command,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
