"""The process that owns a stack ends in every way it can: no server outlives it, and nothing is lost."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path

import psutil
import pytest
from local_stack import FolderInUseError, LocalStack, processes
from local_stack.probes import valkey_client
from local_stack.progress import ConsoleProgress
from rich.console import Console

pytestmark = pytest.mark.stack

StartStack = Callable[..., Awaitable[LocalStack]]

OWNER = """
import json, signal, sys
from pathlib import Path
from local_stack import KafkaOptions, LocalStack
kafka = KafkaOptions() if sys.argv[2] == "kafka" else None
with LocalStack(Path(sys.argv[1]), kafka=kafka) as stack:
    print(json.dumps({"redis_url": stack.redis_url, "guardian": stack._guardian.pid}), flush=True)
    signal.pause()
"""


class Owner:
    """Another process that owns a stack until something happens to it."""

    def __init__(self, process: asyncio.subprocess.Process, redis_url: str, guardian: int) -> None:
        self.process = process
        self.redis_url = redis_url
        self.guardian = psutil.Process(guardian)

    @classmethod
    async def start(cls, folder: Path, *, kafka: bool = False) -> "Owner":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            OWNER,
            str(folder),
            "kafka" if kafka else "",
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        line = await process.stdout.readline()
        assert line, "the owner ended before its stack was up"
        return cls(process, **json.loads(line))

    async def end(self, signal_number: signal.Signals) -> None:
        self.process.send_signal(signal_number)
        await self.process.communicate()


StartOwner = Callable[..., Awaitable[Owner]]


@pytest.fixture
async def start_owner(tmp_path: Path) -> AsyncIterator[StartOwner]:
    owners: list[Owner] = []

    async def start(*, kafka: bool = False) -> Owner:
        owners.append(await Owner.start(tmp_path, kafka=kafka))
        return owners[-1]

    yield start
    for owner in owners:
        with suppress(ProcessLookupError):
            owner.process.kill()
        await owner.process.wait()
    processes.kill_all(list(processes.find_servers(tmp_path).values()))


async def gone(*watched: psutil.Process) -> None:
    left = await asyncio.to_thread(processes.wait_gone, watched, 20)
    assert left == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_no_server_outlives_its_owner(
    start_owner: StartOwner, tmp_path: Path, how: signal.Signals
) -> None:
    owner = await start_owner()
    servers = processes.find_servers(tmp_path)
    assert set(servers) == {"valkey"}
    await owner.end(how)
    await gone(*servers.values(), owner.guardian)


async def test_the_folder_of_a_living_owner_is_left_alone(start_owner: StartOwner, tmp_path: Path) -> None:
    owner = await start_owner()
    other = LocalStack(tmp_path, kafka=None)
    with pytest.raises(FolderInUseError, match=f"in use by process {owner.process.pid}"):
        await other.start()
    await other.stop()
    assert set(processes.find_servers(tmp_path)) == {"valkey"}


async def test_what_a_crash_left_running_is_stopped_first_and_loses_nothing(
    start_owner: StartOwner, own_stack: StartStack, tmp_path: Path
) -> None:
    owner = await start_owner(kafka=True)
    async with valkey_client(owner.redis_url) as client:
        await client.set("key", "value")
    owner.guardian.kill()
    await owner.end(signal.SIGKILL)
    orphans = processes.find_servers(tmp_path)
    assert set(orphans) == {"kafka", "valkey"}

    said = StringIO()
    again = await own_stack(folder=tmp_path, progress=ConsoleProgress(Console(file=said, width=500)))

    assert "stopping kafka, valkey, which a process that is gone left running" in said.getvalue()
    await gone(*orphans.values())
    assert set(processes.find_servers(tmp_path)) == {"kafka", "valkey"}
    async with valkey_client(again.redis_url) as client:
        assert await client.get("key") == "value"


async def test_a_new_owner_right_after_a_crash_keeps_its_servers(
    start_owner: StartOwner, own_stack: StartStack, tmp_path: Path
) -> None:
    crashed = await start_owner()
    await crashed.end(signal.SIGKILL)
    stack = await own_stack(folder=tmp_path, kafka=None)
    await gone(crashed.guardian)
    assert stack.valkey.nodes[0].pid is not None
    async with valkey_client(stack.redis_url) as client:
        assert await client.ping()


async def test_an_interrupted_start_leaves_nothing_running(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local_stack", "up", "--folder", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    while not (servers := processes.find_servers(tmp_path)):
        await asyncio.sleep(0.02)
        assert process.returncode is None
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode != 0
    await gone(*servers.values())
    assert processes.find_servers(tmp_path) == {}
