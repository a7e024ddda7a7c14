"""`tidemark stack up`, `status` and `down`, as a user runs them: each a process of its own."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from local_stack import FolderInUseError, LocalStack, processes
from local_stack.probes import ask_kafka, valkey_client

pytestmark = pytest.mark.stack


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    exit_code: int | None
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.stdout)
        return answer

    @property
    def pids(self) -> dict[str, int | None]:
        return {server["name"]: server["pid"] for server in self.json["servers"]}


Stack = Callable[..., Awaitable[Done]]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    async def run(*arguments: str) -> Done:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "local_stack",
            *arguments,
            "--folder",
            str(tmp_path / "stack"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await process.communicate()
        return Done(process.returncode, stdout.decode(), stderr.decode())

    yield run
    processes.kill_all(list(processes.find_servers(tmp_path / "stack").values()))


async def test_a_stack_lives_from_up_to_down_and_goes_on_with_its_data_after_that(
    stack: Stack, tmp_path: Path
) -> None:
    up = await stack("up", "--json")
    assert up.exit_code == 0, up.stderr
    assert up.json["state"] == "up"
    environment = up.json["environment"]
    assert await ask_kafka(environment["KAFKA_BOOTSTRAP_SERVERS"])
    async with valkey_client(environment["REDIS_URL"]) as client:
        await client.set("key", "value")

    status = await stack("status", "--json")
    assert status.exit_code == 0
    assert status.pids == up.pids
    assert status.json["environment"] == environment

    down = await stack("down", "--json")
    assert down.exit_code == 0
    assert down.json["state"] == "down"
    assert processes.find_servers(tmp_path / "stack") == {}
    assert (await stack("status")).exit_code == 1

    again = await stack("up", "--json")
    assert again.json["environment"] == environment
    async with valkey_client(environment["REDIS_URL"]) as client:
        assert await client.get("key") == "value"

    assert (await stack("down", "--delete-data")).exit_code == 0
    assert not (tmp_path / "stack").exists()


async def test_up_starts_only_what_does_not_run(stack: Stack) -> None:
    first = await stack("up", "--json")
    psutil.Process(first.pids["valkey"]).kill()

    degraded = await stack("status", "--json")
    assert degraded.exit_code == 1
    assert degraded.json["state"] == "degraded"

    second = await stack("up", "--json")
    assert second.json["state"] == "up"
    assert second.pids["kafka"] == first.pids["kafka"]
    assert second.pids["valkey"] != first.pids["valkey"]
    assert (await stack("down")).exit_code == 0


async def test_up_prints_what_a_shell_needs(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, kafka_bootstrap: str
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    up = await stack("up")
    assert f"export KAFKA_BOOTSTRAP_SERVERS={kafka_bootstrap}" in up.stdout
    assert "export REDIS_URL=redis://127.0.0.1:" in up.stdout
    assert "given, answers" in up.stdout
    seen = await stack("status", "--json")
    assert [server["name"] for server in seen.json["servers"]] == ["valkey"]


async def test_up_again_is_no_error_for_who_exported_its_addresses(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, kafka_bootstrap: str
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    first = await stack("up", "--json")
    monkeypatch.setenv("REDIS_URL", first.json["environment"]["REDIS_URL"])
    assert (await stack("up", "--json")).pids == first.pids
    await stack("down")
    again = await stack("up", "--json")
    assert again.exit_code == 0, again.stderr
    assert again.json["environment"] == first.json["environment"]


async def test_an_address_that_does_not_answer_stops_up(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    up = await stack("up")
    assert up.exit_code == 1
    assert "KAFKA_BOOTSTRAP_SERVERS is 127.0.0.1:1, which does not answer" in up.stderr
    assert "Traceback" not in up.stderr
    assert not (tmp_path / "stack").exists()


async def test_a_stack_that_is_up_is_not_taken_by_another_owner(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, kafka_bootstrap: str, tmp_path: Path
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    await stack("up")
    with pytest.raises(FolderInUseError, match="started with `tidemark stack up`"):
        await LocalStack(tmp_path / "stack", kafka=None).start()
    assert (await stack("status")).exit_code == 0


async def test_down_leaves_the_servers_of_a_living_owner_alone(stack: Stack, tmp_path: Path) -> None:
    async with LocalStack(tmp_path / "stack", kafka=None):
        down = await stack("down")
        assert down.exit_code == 1
        assert "in use by process" in down.stderr
        assert (await stack("status")).exit_code == 0
