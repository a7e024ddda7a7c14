import asyncio
import base64
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest
from tidemark_cli.platform import Deadlines, JobFailed, JobSpec, NotReady, Platform, ProcessDied, ProcessSpec

HERE = Path(__file__).parent


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    """Where the tiny services note what happens to them."""
    path = tmp_path / "diary"
    path.touch()
    return path


@pytest.fixture
def crash_order(tmp_path: Path) -> Path:
    """A named pipe: the tiny service that crashes on demand does so when somebody writes to it."""
    path = tmp_path / "crash"
    os.mkfifo(path)
    return path


@pytest.fixture
def environment(diary: Path, tmp_path: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(HERE), "DIARY": str(diary), "FIFO": str(tmp_path / "crash")}


@pytest.fixture
async def platform(tmp_path: Path, environment: dict[str, str]) -> AsyncIterator[Platform]:
    async with Platform(tmp_path / "logs", environment, deadlines=Deadlines(stop_seconds=5)) as running:
        yield running


def tiny(name: str, *habits: str, ports: tuple[str, ...] = ()) -> ProcessSpec:
    return ProcessSpec(name, module="tiny_service", arguments=habits, environment={"NAME": name}, ports=ports)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


async def until_gone(*pids: int) -> None:
    async with asyncio.timeout(10):
        while any(map(alive, pids)):  # noqa: ASYNC110 - other processes end
            await asyncio.sleep(0.02)


def pids_in(diary: Path) -> list[int]:
    return [
        int(line.split()[-1]) for line in diary.read_text().splitlines() if "pid" in line or "child" in line
    ]


async def test_processes_of_one_call_are_all_ready_when_it_returns(platform: Platform) -> None:
    started = await platform.start_all([tiny("a"), tiny("b", ports=("GRPC_PORT",))])
    assert [process.running for process in started] == [True, True]
    async with httpx.AsyncClient() as client:
        replies = [await client.get(f"{process.metrics_url}/readyz") for process in started]
    assert [reply.status_code for reply in replies] == [200, 200]
    assert len({*started[0].ports.values(), *started[1].ports.values()}) == 3


async def test_metrics_are_parsed(platform: Platform) -> None:
    await platform.start(tiny("a"))
    metrics = await platform.metrics("a")
    assert metrics.total("records_total") == 7
    assert metrics.total("records_total", topic="b") == 4
    assert metrics.total("unheard_of") == 0


async def test_a_process_that_dies_at_start_is_named_with_its_exit_code_and_log(platform: Platform) -> None:
    with pytest.raises(ProcessDied, match=r"sad ended with exit code 1\.(?s:.*)out of luck"):
        await platform.start_all([tiny("glad"), tiny("sad", "crash")])


async def test_a_process_that_is_never_ready_is_reported_with_its_reason(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with pytest.raises(NotReady, match=r"slow was not ready after 2 s: it answers 503 the moon is wrong"):
        async with Platform(tmp_path, environment, deadlines=Deadlines(ready_seconds=2)) as platform:
            await platform.start(tiny("slow", "never-ready"))


async def test_a_death_interrupts_the_guarded_block(platform: Platform, crash_order: Path) -> None:
    async def work_until_disturbed() -> None:
        async with platform.guarding():
            await asyncio.to_thread(crash_order.write_text, "now")
            await asyncio.Event().wait()

    await platform.start(tiny("frail", "crash-on-demand"))
    with pytest.raises(ProcessDied, match=r"frail ended with exit code 7(?s:.*)something broke"):
        await work_until_disturbed()
    await platform.restart("frail")
    platform.check()


async def test_a_death_nobody_looked_at_is_raised_at_the_end(
    tmp_path: Path, environment: dict[str, str], crash_order: Path
) -> None:
    async def look_away() -> None:
        async with Platform(tmp_path, environment) as platform:
            frail = await platform.start(tiny("frail", "crash-on-demand"))
            await asyncio.to_thread(crash_order.write_text, "now")
            await frail.wait()

    with pytest.raises(ProcessDied, match="frail"):
        await look_away()


async def test_a_killed_process_comes_back_on_the_same_ports(platform: Platform) -> None:
    before = await platform.start(tiny("a", ports=("HTTP_PORT",)))
    pid, ports = before.pid, before.ports
    assert await platform.kill("a") == -signal.SIGKILL
    platform.check()
    after = await platform.restart("a")
    assert after.pid != pid
    assert after.ports == ports


async def test_restarting_what_still_runs_is_refused(platform: Platform) -> None:
    await platform.start(tiny("a"))
    with pytest.raises(ValueError, match="still runs"):
        await platform.restart("a")


async def test_the_last_started_stops_first(tmp_path: Path, environment: dict[str, str], diary: Path) -> None:
    async with Platform(tmp_path, environment) as platform:
        await platform.start(tiny("first"))
        await platform.start_all([tiny("second"), tiny("third")])
        assert await platform.stop() == {"first": 0, "second": 0, "third": 0}
    stopped = [line.split()[0] for line in diary.read_text().splitlines() if "stopped" in line]
    assert set(stopped[:2]) == {"second", "third"}
    assert stopped[2:] == ["first"]


async def test_what_ignores_sigterm_is_killed_at_the_deadline(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    async with Platform(tmp_path, environment, deadlines=Deadlines(stop_seconds=0.2)) as platform:
        process = await platform.start(tiny("mule", "stubborn"))
        assert await platform.stop() == {"mule": -signal.SIGKILL}
    assert not alive(process.pid)


async def test_an_error_in_the_block_leaves_nothing_running(
    tmp_path: Path, environment: dict[str, str], diary: Path
) -> None:
    async def fail() -> None:
        async with Platform(tmp_path, environment) as platform:
            await platform.start_all([tiny("a"), tiny("b")])
            raise RuntimeError("the caller's own")

    with pytest.raises(RuntimeError, match="the caller's own"):
        await fail()
    assert len(pids_in(diary)) == 2
    assert not any(map(alive, pids_in(diary)))


async def test_killing_a_process_takes_its_children_along(platform: Platform, diary: Path) -> None:
    await platform.start(tiny("parent", "child"))
    pids = pids_in(diary)
    assert len(pids) == 2
    await platform.kill("parent")
    await until_gone(*pids)


async def test_a_job_answers_with_what_it_prints(platform: Platform) -> None:
    encoded = await platform.run(JobSpec("encode", "base64", ("-e", str(HERE / "tiny_service.py"))))
    assert base64.b64decode(encoded) == (HERE / "tiny_service.py").read_bytes()


async def test_a_job_that_fails_is_named_with_its_log(platform: Platform) -> None:
    with pytest.raises(
        JobFailed, match=r"the job lost ended with exit code 1(?s:.*)No module named no_such_module"
    ):
        await platform.run(JobSpec("lost", "no_such_module"))


@pytest.fixture
def supervisor_script(tmp_path: Path) -> Path:
    script = tmp_path / "supervise.py"
    script.write_text(
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tidemark_cli.platform import Platform, ProcessSpec\n"
        "async def main():\n"
        "    async with Platform(Path(sys.argv[1]), {}) as platform:\n"
        "        if 'early' in sys.argv: print('starting', flush=True)\n"
        "        specs = [ProcessSpec(name, 'tiny_service', tuple(sys.argv[2:])) for name in 'abc']\n"
        "        await platform.start_all(specs)\n"
        "        print('ready', flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    return script


async def supervise(script: Path, environment: dict[str, str], *habits: str) -> asyncio.subprocess.Process:
    """Starts a supervisor as `tidemark demo` would be started, and waits for its first line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(script.parent / "logs"), *habits,
        env=dict(os.environ) | environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline()
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_nothing_outlives_a_supervisor_that_is_killed_or_interrupted(
    number: signal.Signals, supervisor_script: Path, environment: dict[str, str], diary: Path
) -> None:
    supervisor = await supervise(
        supervisor_script, environment, "stubborn" if number is signal.SIGKILL else "kind"
    )
    pids = pids_in(diary)
    assert len(pids) == 3
    supervisor.send_signal(number)
    await supervisor.communicate()
    await until_gone(*pids)
    assert diary.read_text().count("stopped") == (3 if number is signal.SIGINT else 0)


@pytest.mark.parametrize("delay_ms", [0, 5, 20, 60, 150])
async def test_an_interrupt_while_starting_leaves_nothing(
    delay_ms: int, supervisor_script: Path, environment: dict[str, str], diary: Path
) -> None:
    supervisor = await supervise(supervisor_script, environment, "early")
    await asyncio.sleep(delay_ms / 1000)  # the moment of the interrupt is what varies here
    supervisor.send_signal(signal.SIGINT)
    children = psutil.Process(supervisor.pid).children(recursive=True)
    await supervisor.communicate()
    await until_gone(*(child.pid for child in children), *pids_in(diary))


async def test_two_interrupts_kill_at_once(
    supervisor_script: Path, environment: dict[str, str], diary: Path
) -> None:
    supervisor = await supervise(supervisor_script, environment, "stubborn")
    supervisor.send_signal(signal.SIGINT)
    await asyncio.sleep(0.2)  # a person's second Ctrl-C
    supervisor.send_signal(signal.SIGINT)
    async with asyncio.timeout(5):
        await supervisor.communicate()
    await until_gone(*pids_in(diary))
