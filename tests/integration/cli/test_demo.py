import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Shell:
    """Runs `tidemark demo` of the tiny project as a person would, in a folder of its own."""

    folder: Path

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tidemark_cli", "demo", "--project", "tiny_project", *arguments),
            cwd=self.folder,
            env=dict(os.environ) | {"PYTHONPATH": str(HERE)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        process = await self.start(*arguments)
        async with asyncio.timeout(30):
            out, error = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), error.decode()

    def started(self) -> list[int]:
        """The services' process ids."""
        diary = self.folder / "build/demo/diary"
        lines = diary.read_text().splitlines() if diary.exists() else []
        return [int(line.split()[-1]) for line in lines if "pid" in line]

    def running(self) -> list[int]:
        return [pid for pid in self.started() if alive(pid)]

    async def until_nothing_runs(self) -> None:
        async with asyncio.timeout(20):
            while self.running() or self.behind():  # noqa: ASYNC110 - other processes end
                await asyncio.sleep(0.05)

    def behind(self) -> list[psutil.Process]:
        """Processes of this folder's demo that are not services."""
        return [
            process
            for process in psutil.process_iter(["cmdline", "cwd"])
            if process.info["cwd"] == str(self.folder) and "tidemark_cli" in (process.info["cmdline"] or [])
        ]


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    await shell.run("--stop")
    assert shell.running() == []


async def test_a_demo_lives_and_leaves_nothing(shell: Shell) -> None:
    code, out, error = await shell.run("--to", "2013-04-08")
    assert (code, error) == (0, "")
    assert out.splitlines() == ["living", "lived"]
    assert len(shell.started()) == 2
    assert shell.running() == []


async def test_the_summary_is_json_on_stdout_and_the_story_on_stderr(shell: Shell) -> None:
    code, out, error = await shell.run("--to", "2013-04-08", "--json")
    assert (code, json.loads(out)) == (0, {"lived": "2013-04-08 00:00:00+00:00"})
    assert error.splitlines() == ["living", "lived"]


@pytest.mark.parametrize(
    ("speed", "code", "told"),
    [("13", 2, "13 is no speed"), ("7", 1, ""), ("5", 1, "ended with exit code 1"), ("0", 2, "--speed")],
)
async def test_a_demo_that_fails_says_so(shell: Shell, speed: str, code: int, told: str) -> None:
    found, _, error = await shell.run("--speed", speed)
    assert found == code
    assert told in error
    assert "Traceback" not in error
    assert shell.running() == []


async def test_a_kept_demo_runs_on_until_it_is_stopped(shell: Shell) -> None:
    code, out, _ = await shell.run("--keep")
    assert (code, out.splitlines()) == (0, ["living", "lived"])
    assert len(shell.running()) == 2
    environment = (shell.folder / "build/demo/environment").read_text().splitlines()
    assert environment[1] == "export WHERE='over there'"
    async with httpx.AsyncClient() as client:
        url = environment[0].removeprefix("export METRICS=")
        assert (await client.get(f"{url}/readyz")).status_code == 200

    code, _, error = await shell.run()
    assert code == 1
    assert "a demo still runs in build/demo" in error

    assert await shell.run("--stop") == (0, "Stopped the demo in build/demo.\n", "")
    assert shell.running() == []
    assert not (shell.folder / "build/demo/environment").exists()


async def test_a_kept_demo_that_broke_a_promise_runs_on_and_says_so(shell: Shell) -> None:
    code, _, _ = await shell.run("--keep", "--speed", "7")
    assert (code, len(shell.running())) == (1, 2)


async def test_a_kept_demo_that_fails_before_it_is_kept_says_so(shell: Shell) -> None:
    code, _, error = await shell.run("--keep", "--speed", "5")
    assert code == 1
    assert "ended with exit code 1" in error
    assert shell.running() == []


async def test_a_kept_demo_prints_its_summary_before_it_hands_over(shell: Shell) -> None:
    code, out, _ = await shell.run("--keep", "--json")
    assert (code, json.loads(out)) == (0, {"lived": "None"})


async def test_the_services_of_a_kept_demo_end_with_it_even_if_it_is_killed(shell: Shell) -> None:
    await shell.run("--keep")
    note = json.loads((shell.folder / "build/demo/kept.json").read_text())
    os.kill(note["pid"], signal.SIGKILL)
    await shell.until_nothing_runs()
    assert (await shell.run("--stop"))[1] == "No demo runs in build/demo.\n"
    assert (await shell.run())[0] == 0, "what is left of it is no obstacle"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("line", [b"living", b"lived"])
async def test_an_end_at_any_moment_leaves_nothing(
    shell: Shell, number: signal.Signals, line: bytes, *, keep: bool
) -> None:
    demo = await shell.start(*(["--keep"] if keep else []))
    assert demo.stdout is not None
    async for told in demo.stdout:
        if told.strip() == line:
            break
    children = psutil.Process(demo.pid).children(recursive=True) if demo.returncode is None else []
    if demo.returncode is None:
        demo.send_signal(number)
    async with asyncio.timeout(20):
        await demo.wait()
    if (shell.folder / "build/demo/kept.json").exists():  # it was kept before the signal came
        await shell.run("--stop")
    await shell.until_nothing_runs()
    assert not [child for child in children if alive(child.pid)]
    assert demo.returncode in (0, 130, -number)
