"""The supervisor behind `tidemark demo` and the chaos tests: start, watch, kill, restart, stop."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import httpx

from tidemark_cli.platform.failures import JobFailed, NotReady, ProcessDied
from tidemark_cli.platform.metrics import Metrics
from tidemark_cli.platform.ports import FreePorts
from tidemark_cli.platform.process import PlatformProcess, kill_rest_of_group, spawn
from tidemark_cli.platform.specs import Deadlines, JobSpec, ProcessSpec

_POLL_SECONDS = 0.05
_REQUEST_SECONDS = 5.0


class Platform:
    """Runs services as processes of this one; when the block ends, however it ends, none is left.

    Each process inherits this process's environment, then `environment`, then its own spec's. Its output goes
    to `<folder>/<name>.log`. Processes started together by `start_all` are stopped together, the last started
    first. Ctrl-C reaches this process only, which then stops the others in order; if this process is killed
    outright, the kernel kills them (on Linux). Enter it on the main thread: the kernel ties children to the
    thread that started them.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], *, deadlines: Deadlines | None = None
    ) -> None:
        self._folder = folder
        self._environment = _inherited() | dict(environment)
        self._deadlines = deadlines or Deadlines()
        self._ports = FreePorts()
        self._processes: dict[str, PlatformProcess] = {}
        self._waves: list[list[PlatformProcess]] = []
        self._dead: list[PlatformProcess] = []
        self._guarded: list[asyncio.Task[object]] = []

    async def __aenter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._http = httpx.AsyncClient(timeout=_REQUEST_SECONDS, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.stop()
        finally:
            self._kill_all()
            await self._http.aclose()
        if error is None:
            self.check()

    @property
    def processes(self) -> Mapping[str, PlatformProcess]:
        """Every process by its name, those that ended included."""
        return MappingProxyType(self._processes)

    async def start(self, spec: ProcessSpec) -> PlatformProcess:
        """Starts one process and returns when it is ready; see `start_all`."""
        return (await self.start_all([spec]))[0]

    async def start_all(self, specs: Sequence[ProcessSpec]) -> list[PlatformProcess]:
        """Starts processes side by side and returns when every one answers `/readyz` with 200.

        Raises:
            ProcessDied: one ended before it was ready.
            NotReady: one was not ready at the deadline; the others go on.
            ValueError: a name is already in use.
        """
        wave = [self._prepare(spec) for spec in specs]
        self._waves.append(wave)
        for process in wave:
            await process.launch()
        await self._until_all_ready(wave)
        return wave

    async def run(self, job: JobSpec) -> str:
        """Runs a job to its end and returns what it printed; its stderr goes to `<folder>/<name>.log`.

        Raises:
            JobFailed: its exit code was not 0.
        """
        path = self._log_path(job.name)
        command = [sys.executable, "-m", job.module, *job.arguments]
        with path.open("ab") as log:
            process = await spawn(
                command, self._environment | dict(job.environment), stdout=asyncio.subprocess.PIPE, stderr=log
            )
        try:
            output, _ = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        finally:
            kill_rest_of_group(process)
        if process.returncode:
            raise JobFailed(job.name, process.returncode, path)
        return output.decode()

    async def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Ends one process with a signal and returns its exit code; that is no death to `check`."""
        process = self._processes[name]
        process.send(number)
        return await process.wait()

    async def restart(self, name: str) -> PlatformProcess:
        """Starts an ended process again with the same ports and log, and returns when it is ready."""
        process = self._processes[name]
        if process.running:
            raise ValueError(f"{name} still runs: kill it first")
        await process.launch()
        await self._until_all_ready([process])
        return process

    async def metrics(self, name: str) -> Metrics:
        """Scrapes one process."""
        reply = await self._http.get(f"{self._processes[name].metrics_url}/metrics")
        return Metrics.parse(reply.raise_for_status().text)

    def check(self) -> None:
        """Raises `ProcessDied` if a process has ended that nobody asked to end; once for each."""
        if self._dead:
            raise _death_of(self._dead.pop(0))

    @asynccontextmanager
    async def guarding(self) -> AsyncIterator[None]:
        """Interrupts the block with `ProcessDied` as soon as a process ends that nobody asked to end."""
        self.check()
        body = asyncio.current_task()
        assert body is not None
        self._guarded.append(body)
        try:
            yield
        except asyncio.CancelledError:
            if self._dead and not body.uncancel():
                self.check()
            raise
        finally:
            self._guarded.remove(body)

    async def stop(self) -> Mapping[str, int]:
        """Stops what runs, the last started first, those of one `start_all` together; returns exit codes.

        A process that was still there at the deadline was killed: its exit code is -9.
        """
        codes: dict[str, int] = {}
        for wave in reversed(self._waves):
            running = [process for process in wave if process.running]
            ended = await asyncio.gather(*(process.stop(self._deadlines.stop_seconds) for process in running))
            codes |= {process.name: code for process, code in zip(running, ended, strict=True)}
        return codes

    def _prepare(self, spec: ProcessSpec) -> PlatformProcess:
        if spec.name in self._processes:
            raise ValueError(f"a process named {spec.name!r} is already part of this platform")
        process = PlatformProcess(
            spec,
            environment=self._environment | dict(spec.environment),
            ports={variable: self._ports.take() for variable in ("METRICS_PORT", *spec.ports)},
            log_path=self._log_path(spec.name),
            on_death=self._notice_death,
        )
        self._processes[spec.name] = process
        return process

    def _log_path(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    async def _until_all_ready(self, processes: Sequence[PlatformProcess]) -> None:
        results = await asyncio.gather(*map(self._until_ready, processes), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _until_ready(self, process: PlatformProcess) -> None:
        reason = "it was never asked"
        try:
            async with asyncio.timeout(self._deadlines.ready_seconds):
                while reason := await self._why_not_ready(process):  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise NotReady(process.name, self._deadlines.ready_seconds, reason, process.log_path) from None

    async def _why_not_ready(self, process: PlatformProcess) -> str:
        if not process.running:
            await process.wait()
            self._dead = [dead for dead in self._dead if dead is not process]
            raise _death_of(process)
        try:
            reply = await self._http.get(f"{process.metrics_url}/readyz")
        except httpx.TransportError as error:
            return f"no answer on {process.metrics_url}/readyz ({type(error).__name__})"
        return (
            ""
            if reply.status_code == httpx.codes.OK
            else f"it answers {reply.status_code} {reply.text.strip()}"
        )

    def _notice_death(self, process: PlatformProcess) -> None:
        self._dead.append(process)
        for body in self._guarded:
            body.cancel()

    def _kill_all(self) -> None:
        for process in self._processes.values():
            process.send(signal.SIGKILL)


def _death_of(process: PlatformProcess) -> ProcessDied:
    assert process.exit_code is not None
    return ProcessDied(process.name, process.exit_code, process.log_path)


def _inherited() -> dict[str, str]:
    return dict(os.environ)  # noqa: TID251 - not a setting of this process: what its children inherit
