"""The life of one server: start on free ports, ready when its protocol answers, stop, kill, pause, start again on its data."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import psutil

from local_stack import ports, processes
from local_stack.errors import PortInUseError, ServerExitedError, ServerNotReadyError, StackError

_PORT_ATTEMPTS = 5
_PROBE_EVERY_SECONDS = 0.05
_PROBE_TIMEOUT_SECONDS = 5.0
_SAYS_PORT_TAKEN = ("Address already in use", "Failed listening on port")


class NotReadyError(Exception):
    """A server does not answer as it should, yet."""


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


class Server:
    """One server process, its folder, and its ports."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.name = recipe.name
        self.home = folder / recipe.name
        self.log = self.home / f"{recipe.name}.log"
        self._recipe = recipe
        self.process: psutil.Process | None = None

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of the last start; empty when it never started."""
        try:
            return tuple(json.loads(self._ports_file.read_text()))
        except (OSError, ValueError):
            return ()

    @property
    def address(self) -> str:
        """`host:port` of the server's first port."""
        if not self.ports:
            raise StackError(f"{self.name} in {self.home} was never started; start the stack first")
        return f"{ports.HOST}:{self.ports[0]}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self.process.pid if self.process is not None and processes.is_alive(self.process) else None

    def adopt(self, process: psutil.Process) -> None:
        """Take over a server that another process started."""
        self.process = process

    async def start(self) -> None:
        """Start it on its data and, where they are free, on the ports it had; returns when it answers. No-op when it runs.

        Raises:
            PortInUseError: The port that the user chose is taken.
            ServerExitedError: It ended before it was ready.
            ServerNotReadyError: It did not answer within its deadline.
        """
        if self.pid is not None:
            return
        self.home.mkdir(parents=True, exist_ok=True)
        for attempt in range(_PORT_ATTEMPTS):
            chosen = self._choose_ports(attempt)
            try:
                await self._launch(chosen)
            except _PortTakenError:
                continue
            return
        raise StackError(f"{self.name} found its ports taken {_PORT_ATTEMPTS} times in a row; see {self.log}")

    async def stop(self) -> None:
        """End it cleanly (SIGTERM, SIGKILL after a deadline); its data stays."""
        if self.process is not None:
            await asyncio.to_thread(processes.stop_all, [self.process])
            self.process = None

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would; its data stays as it was."""
        if self.process is not None:
            processes.kill_all([self.process])
            self.process = None

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nothing is answered."""
        self._running().suspend()

    def resume(self) -> None:
        """Let a paused server go on."""
        self._running().resume()

    async def wait_ready(self) -> None:
        """Return when it answers its protocol.

        Raises:
            ServerExitedError: It ended.
            ServerNotReadyError: It did not answer within its deadline.
        """
        await self._wait_ready(self._running(), self.ports, since_byte=0)

    @property
    def _ports_file(self) -> Path:
        return self.home / "ports.json"

    def _running(self) -> psutil.Process:
        if self.process is None:
            raise StackError(f"{self.name} does not run; start it first")
        return self.process

    def _choose_ports(self, attempt: int) -> tuple[int, ...]:
        remembered = self.ports
        fixed = self._recipe.fixed_port
        if fixed is not None and not ports.is_free(fixed):
            raise PortInUseError(self.name, fixed)
        if (
            attempt == 0
            and remembered
            and all(map(ports.is_free, remembered))
            and fixed in (None, remembered[0])
        ):
            return remembered
        chosen = ports.choose(self._recipe.port_count, seed=str(self.home), attempt=attempt)
        return (
            chosen
            if fixed is None
            else (fixed, *[port for port in chosen if port != fixed][: len(chosen) - 1])
        )

    async def _launch(self, chosen: tuple[int, ...]) -> None:
        command = await self._recipe.prepare(self.home, chosen)
        since_byte = self.log.stat().st_size if self.log.exists() else 0
        process = processes.spawn(command, home=self.home, log=self.log)
        try:
            self._ports_file.write_text(json.dumps(chosen))
            await self._wait_ready(process, chosen, since_byte)
        except BaseException:
            processes.kill_all([process])
            raise
        self.process = process

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
                raise ServerNotReadyError(
                    self.name, deadline_seconds, reason, self.log, self._tail(since_byte)
                )
            await asyncio.sleep(_PROBE_EVERY_SECONDS)
        raise self._why_it_ended(process, chosen, since_byte)

    def _why_it_ended(self, process: psutil.Process, chosen: tuple[int, ...], since_byte: int) -> StackError:
        tail = self._tail(since_byte)
        if any(words in tail for words in _SAYS_PORT_TAKEN) or not all(map(ports.is_free, chosen)):
            fixed = self._recipe.fixed_port
            return (
                _PortTakenError(self.name)
                if fixed is None or ports.is_free(fixed)
                else PortInUseError(self.name, fixed)
            )
        exit_code = process.poll() if isinstance(process, psutil.Popen) else None
        return ServerExitedError(self.name, exit_code, self.log, tail)

    def _tail(self, since_byte: int) -> str:
        return processes.log_tail(self.log, since_byte)
