"""How a service process starts and ends."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

SERVICE = Path(__file__).with_name("a_service.py")


class Process:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[dict[str, Any]] = []

    async def until(self, event: str) -> dict[str, Any]:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.lines.append(json.loads(line))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError(f"it never said {event!r}, but {self.lines}")

    def signal(self, signum: signal.Signals) -> None:
        self._process.send_signal(signum)

    async def end(self) -> tuple[int | None, str]:
        _, rest = await self._process.communicate()
        return self._process.returncode, rest.decode()


@asynccontextmanager
async def started(behaviour: str, **environment: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SERVICE),
        behaviour,
        env={"METRICS_PORT": "0", **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        try:
            yield Process(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_it_drain_not_ready_any_more_and_end_well(signum: signal.Signals) -> None:
    async with started("patient") as process:
        await process.until("working")
        process.signal(signum)
        assert (await process.until("drained"))["not_ready"] == {"service": "is stopping"}
        assert (await process.end())[0] == 0


async def test_it_answers_on_the_port_it_names_while_it_works() -> None:
    async with started("patient") as process:
        port = (await process.until("started"))["metrics_port"]
        await process.until("working")
        async with aiohttp.ClientSession() as session:
            for path in ("/healthz", "/readyz", "/metrics"):
                async with session.get(f"http://127.0.0.1:{port}{path}") as response:
                    assert response.status == 200
        process.signal(signal.SIGTERM)
        assert (await process.end())[0] == 0


async def test_a_job_that_is_done_ends_well() -> None:
    async with started("job") as process:
        assert (await process.end())[0] == 0


async def test_a_fault_ends_it_with_1_and_is_logged() -> None:
    async with started("failing") as process:
        line = await process.until("failed")
        assert "a-service has a fault" in line["exception"]
        assert (await process.end())[0] == 1


async def test_a_second_signal_ends_it_at_once_with_1() -> None:
    async with started("stuck") as process:
        await process.until("working")
        process.signal(signal.SIGTERM)
        await process.until("stopping")
        process.signal(signal.SIGTERM)
        assert (await process.until("ended without draining"))["reason"] == "SIGTERM again"
        assert (await process.end())[0] == 1


@pytest.mark.parametrize("behaviour", ["stuck", "blocking"])
async def test_the_deadline_ends_with_1_what_does_not_drain(behaviour: str) -> None:
    async with started(behaviour) as process:
        await process.until("working")
        process.signal(signal.SIGTERM)
        assert (await process.until("ended without draining"))["reason"] == "not drained 0.5 s after SIGTERM"
        assert (await process.end())[0] == 1


async def test_wrong_settings_end_it_with_one_line_that_names_the_variable() -> None:
    async with started("patient", METRICS_PORT="many") as process:
        status, told = await process.end()
    assert status == 1
    assert told.count("\n") == 1
    assert told.startswith("wrong settings: METRICS_PORT: ")


async def test_a_taken_port_ends_it_with_a_line_that_names_the_port() -> None:
    async with started("patient") as first:
        port = (await first.until("started"))["metrics_port"]
        async with started("patient", METRICS_PORT=str(port)) as second:
            line = await second.until("could not start")
            assert f"port {port}" in line["reason"]
            assert (await second.end())[0] == 1
