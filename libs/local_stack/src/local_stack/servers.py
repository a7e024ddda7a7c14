"""The life of one server: start on free ports until its protocol answers, stop, kill, pause, start again."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import psutil

from local_stack import ports, processes
from local_stack.errors import PortInUseError, ServerExitedError, ServerNotReadyError, StackError
from local_stack.probes import ASK_AGAIN_SECONDS, NotReadyError

_PORT_ATTEMPTS = 5
_PORTS_FILE = "ports.json"
_PROBE_TIMEOUT_SECONDS = 5.0
_SAYS_PORT_TAKEN = ("Address already in use", "Failed listening on port")


class Recipe(Protocol):
    """What a kind of server adds to the life of one."""

    @property
    def name(self) -> str:
        """The server's name, which is also its folder's."""
        ...

    @property
    def port_count(self) -> int:
        """How many ports it listens on."""
        ...

    @property
    def fixed_port(self) -> int | None:
        """The first of its ports, if the user chose it."""
        ...

    @property
    def start_deadline_seconds(self) -> float:
        """How long it may take to be ready."""
        ...

    async def prepare(self, home: Path, ports: Sequence[int]) -> Sequence[str]:
        """Write its configuration and return its command; run in its home before every start."""
        ...

    async def probe(self, home: Path, ports: Sequence[int], pid: int) -> None:
        """Return if the very process answers its protocol; raise NotReadyError if it does not."""
        ...


class _PortTakenError(StackError):
    """A port was free when it was chosen, and taken when the server wanted it."""


def remembered_ports(home: Path) -> tuple[int, ...]:
    """Read the ports of a server's last start from its home; empty when there was none."""
    try:
        return tuple(json.loads((home / _PORTS_FILE).read_text()))
    except (OSError, ValueError):
        return ()


class Server:
    """One server process, its folder, and its ports."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.name = recipe.name
        self.home = folder / recipe.name
        self.log = self.home / f"{recipe.name}.log"
        self._recipe = recipe
        self._process: psutil.Process | None = None

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of the last start; empty when it never started."""
        return remembered_ports(self.home)

    @property
    def address(self) -> str:
        """`host:port` of the server's first port."""
        if not self.ports:
            raise StackError(f"{self.name} in {self.home} was never started; start the stack first")
        return f"{ports.HOST}:{self.ports[0]}"

    @property
    def process(self) -> psutil.Process | None:
        """The process while it runs."""
        return self._process if self._process is not None and processes.is_alive(self._process) else None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return None if self.process is None else self.process.pid

    def adopt(self, process: psutil.Process) -> None:
        """Take over a server that another process started."""
        self._process = process

    async def start(self) -> None:
        """Start it on its data and, where they are free, on the ports it had; return when it answers.

        One that runs is only waited for.

        Raises:
            PortInUseError: The port that the user chose is taken.
            ServerExitedError: It ended before it was ready.
            ServerNotReadyError: It did not answer within its deadline.
        """
        if self.process is not None:
            return await self._wait_ready(self.process, self.ports, since_byte=0)
        self.home.mkdir(parents=True, exist_ok=True)
        for attempt in range(_PORT_ATTEMPTS):
            chosen = self._choose_ports(attempt)
            try:
                await self._launch(chosen)
            except _PortTakenError:
                continue
            return None
        raise StackError(f"{self.name} found its ports taken {_PORT_ATTEMPTS} times in a row; see {self.log}")

    async def stop(self, deadline_seconds: float = processes.STOP_DEADLINE_SECONDS) -> bool:
        """End it with SIGTERM, or SIGKILL after the deadline; tell whether SIGTERM did. Its data stays."""
        if self._process is None:
            return True
        killed = await asyncio.to_thread(processes.stop_all, [self._process], deadline_seconds)
        self._process = None
        return not killed

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would; its data stays as it was."""
        if self._process is not None:
            processes.kill_all([self._process])
            self._process = None

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nothing is answered."""
        self._running().suspend()

    def resume(self) -> None:
        """Let a paused server go on."""
        self._running().resume()

    def _running(self) -> psutil.Process:
        if self.process is None:
            raise StackError(f"{self.name} does not run; start it first")
        return self.process

    def _choose_ports(self, attempt: int) -> tuple[int, ...]:
        fixed = self._fixed_ports
        if not all(map(ports.is_free, fixed)):
            raise PortInUseError(self.name, fixed[0])
        remembered = self.ports
        can_stay = remembered[: len(fixed)] == fixed and all(map(ports.is_free, remembered))
        if attempt == 0 and remembered and can_stay:
            return remembered
        others = self._recipe.port_count - len(fixed)
        return fixed + ports.choose(others, seed=str(self.home), attempt=attempt, but=fixed)

    @property
    def _fixed_ports(self) -> tuple[int, ...]:
        return () if self._recipe.fixed_port is None else (self._recipe.fixed_port,)

    async def _launch(self, chosen: tuple[int, ...]) -> None:
        command = await self._recipe.prepare(self.home, chosen)
        since_byte = self.log.stat().st_size if self.log.exists() else 0
        process = processes.spawn(command, home=self.home, log=self.log)
        try:
            (self.home / _PORTS_FILE).write_text(json.dumps(chosen))
            await self._wait_ready(process, chosen, since_byte)
        except BaseException:
            processes.kill_all([process])
            raise
        self._process = process

    async def _wait_ready(self, process: psutil.Process, chosen: tuple[int, ...], since_byte: int) -> None:
        deadline_seconds = self._recipe.start_deadline_seconds
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + deadline_seconds
        while processes.is_alive(process):
            try:
                async with asyncio.timeout(_PROBE_TIMEOUT_SECONDS):
                    await self._recipe.probe(self.home, chosen, process.pid)
            except (NotReadyError, TimeoutError) as error:
                reason = str(error) or f"no answer within {_PROBE_TIMEOUT_SECONDS:g} s"
            else:
                return
            if loop.time() > ends_at:
                reason = f"not ready within {deadline_seconds:g} s: {reason}"
                raise ServerNotReadyError(self.name, reason, self.log, self._tail(since_byte))
            await asyncio.sleep(ASK_AGAIN_SECONDS)
        raise self._why_it_ended(process, chosen, since_byte)

    def _why_it_ended(self, process: psutil.Process, chosen: tuple[int, ...], since_byte: int) -> StackError:
        tail = self._tail(since_byte)
        if not all(map(ports.is_free, self._fixed_ports)):
            return PortInUseError(self.name, self._fixed_ports[0])
        if any(words in tail for words in _SAYS_PORT_TAKEN) or not all(map(ports.is_free, chosen)):
            return _PortTakenError(self.name)
        exit_code = process.poll() if isinstance(process, psutil.Popen) else None
        return ServerExitedError(self.name, exit_code, self.log, tail)

    def _tail(self, since_byte: int) -> str:
        return processes.log_tail(self.log, since_byte)
