import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from local_stack import processes


@pytest.fixture
def started() -> Iterator[list[psutil.Popen]]:
    started: list[psutil.Popen] = []
    yield started
    processes.kill_all(started)


@pytest.fixture
def valkey_binary(tmp_path: Path) -> Path:
    """A program with the name of a server that only waits."""
    binary = tmp_path / "bin" / "valkey-server"
    binary.parent.mkdir()
    shutil.copy(shutil.which("sleep") or "/bin/sleep", binary)
    return binary


def home(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True, exist_ok=True)
    return folder / name


def test_a_server_is_found_by_its_program_and_its_working_folder(
    tmp_path: Path, valkey_binary: Path, started: list[psutil.Popen]
) -> None:
    folder = tmp_path / "stack"
    server = processes.spawn([str(valkey_binary), "600"], home=home(folder, "valkey"), log=tmp_path / "log")
    elsewhere = processes.spawn(
        [str(valkey_binary), "600"], home=home(tmp_path, "other"), log=tmp_path / "log"
    )
    reader = processes.spawn(["tail", "-f", str(folder)], home=home(folder, "kafka"), log=tmp_path / "log")
    started += [server, elsewhere, reader]

    assert {name: found.pid for name, found in processes.find_servers(folder).items()} == {
        "valkey": server.pid
    }


def test_a_server_that_ended_is_not_found(tmp_path: Path, valkey_binary: Path) -> None:
    server = processes.spawn([str(valkey_binary), "600"], home=home(tmp_path, "valkey"), log=tmp_path / "log")
    processes.stop_all([server])
    assert processes.find_servers(tmp_path) == {}
    assert server.returncode == -signal.SIGTERM


def test_what_does_not_stop_in_time_is_killed(started: list[psutil.Popen]) -> None:
    ignoring = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
    )
    server = psutil.Popen([sys.executable, "-c", ignoring], stdout=subprocess.PIPE)
    started.append(server)
    with server.stdout:
        server.stdout.readline()

    processes.stop_all([server], deadline_seconds=0.1)

    assert server.returncode == -signal.SIGKILL


def test_a_paused_server_stops_without_being_killed(tmp_path: Path) -> None:
    server = processes.spawn(["sleep", "600"], home=tmp_path, log=tmp_path / "log")
    server.suspend()
    processes.stop_all([server], deadline_seconds=10)
    assert server.returncode == -signal.SIGTERM


def test_a_process_that_its_parent_never_reaped_is_not_alive() -> None:
    child = subprocess.Popen(["true"])
    seen_from_outside = psutil.Process(child.pid)
    began = time.monotonic()
    assert processes.wait_gone([seen_from_outside], deadline_seconds=10) == []
    assert time.monotonic() - began < 5
    assert child.wait() == 0


def test_stopping_a_process_that_is_gone_is_no_error(tmp_path: Path) -> None:
    server = processes.spawn(["true"], home=tmp_path, log=tmp_path / "log")
    server.wait()
    processes.stop_all([server])


def test_the_tail_of_a_log_leaves_out_what_was_there_before(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n")
    since_byte = log.stat().st_size
    with log.open("a") as file:
        file.write("new\n")
    assert processes.log_tail(log, since_byte) == "new"
    assert processes.log_tail(tmp_path / "missing") == ""
