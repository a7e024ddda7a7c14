"""What every command owes its users, and what needs nothing that runs."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from bus.inspect import PartitionInfo, TopicInfo
from bus.positions import TopicPartition
from tidemark_cli import topics
from tidemark_cli.app import app
from tidemark_cli.demo.command import _duration
from tidemark_cli.failures import WrongUsage
from typer.testing import CliRunner


def commands(command: Any, name: str = "tidemark") -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        yield name, command
        return
    for child_name in command.list_commands(None):
        yield from commands(command.get_command(None, child_name), f"{name} {child_name}")


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "TIDEMARK_CONTROL_PLANE_URL", "TIDEMARK_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return CliRunner()


def test_the_commands_are_those_that_the_manual_names() -> None:
    assert sorted(COMMANDS) == [
        "tidemark alerts list",
        "tidemark alerts show",
        "tidemark alerts tail",
        "tidemark approvals list",
        "tidemark approvals show",
        "tidemark approve",
        "tidemark audit list",
        "tidemark audit verify",
        "tidemark dataset build",
        "tidemark dataset diff",
        "tidemark dataset lineage",
        "tidemark dataset list",
        "tidemark dataset show",
        "tidemark dataset verify",
        "tidemark demo",
        "tidemark dlq discard",
        "tidemark dlq list",
        "tidemark dlq replay",
        "tidemark dlq show",
        "tidemark explain",
        "tidemark features backfill",
        "tidemark features catalogue",
        "tidemark features compile",
        "tidemark features describe",
        "tidemark features diff",
        "tidemark features export",
        "tidemark features list",
        "tidemark features plan",
        "tidemark features prune",
        "tidemark features versions",
        "tidemark forget",
        "tidemark models list",
        "tidemark models register",
        "tidemark models show",
        "tidemark models versions",
        "tidemark quality report",
        "tidemark reject",
        "tidemark retention",
        "tidemark retrain list",
        "tidemark rollback",
        "tidemark rollout abort",
        "tidemark rollout list",
        "tidemark rollout show",
        "tidemark rollout start",
        "tidemark route history",
        "tidemark route set",
        "tidemark route show",
        "tidemark score-batch",
        "tidemark stack down",
        "tidemark stack status",
        "tidemark stack up",
        "tidemark tail",
        "tidemark topics",
    ]


def test_a_command_does_not_wait_for_what_others_import() -> None:
    script = (
        "import sys; from tidemark_cli.app import app; app(['models', '--help'], standalone_mode=False); "
    )
    heavy = "{'pandas', 'pyarrow', 'onnx', 'openlineage', 'deltalake'}"
    done = subprocess.run(
        [sys.executable, "-c", f"{script} print(sorted({heavy} & set(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_by_examples_and_speaks_json(name: str) -> None:
    command = COMMANDS[name]
    assert "For example:" in command.help
    assert command.help.count(name) >= 1
    parameters = {option: one for one in command.params for option in one.opts}
    assert "--json" in parameters
    for option, parameter in parameters.items():
        assert getattr(parameter, "help", None) or parameter.hidden, f"{name} {option} is not explained"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "told"),
    [
        (["models", "list", "--control-plane", "http://127.0.0.1:1"], 3, "demo --keep"),
        (["topics"], 3, "tidemark stack up"),
        (["topics", "--kafka", "127.0.0.1:1"], 3, "Is it the right broker"),
        (["dlq", "replay", "t", "--kafka", "x"], 2, "--all"),
        (["dlq", "replay", "t", "1", "--all", "--kafka", "x"], 2, "--all"),
        (["dlq", "replay", "t", "1", "--reason", "R", "--kafka", "x"], 2, "--reason"),
        (["tail", "t", "--kafka", "x", "--project", "no.such"], 2, "no.such"),
        (["demo", "--project", "no.such"], 2, "no demo of no.such"),
        (["demo", "--project", "tidemark_cli"], 2, "no coroutine function `live`"),
        (["demo", "--tick", "soon"], 2, "'soon' is no duration"),
        (["demo", "--to", "tomorrow"], 2, "tomorrow"),
        (["route", "set", "m"], 2, "--champion"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_what_cannot_be_done_is_said_on_stderr_with_an_exit_code(
    runner: CliRunner, arguments: list[str], exit_code: int, told: str
) -> None:
    result = runner.invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert told in " ".join(result.stderr.split())


def test_stopping_a_demo_that_does_not_run_does_no_harm(runner: CliRunner) -> None:
    result = runner.invoke(app, ["demo", "--stop"])
    assert (result.exit_code, result.stdout) == (0, "No demo runs in build/demo.\n")


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        (None, None),
        ("15", timedelta(minutes=15)),
        ("15m", timedelta(minutes=15)),
        ("1h", timedelta(hours=1)),
        ("30s", timedelta(seconds=30)),
        ("0", timedelta()),
    ],
)
def test_a_tick_is_a_duration(text: str | None, duration: timedelta | None) -> None:
    assert _duration(text) == duration


@pytest.mark.parametrize("text", ["", "m", "-1m", "1.5h", "1d", "\u0661m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(WrongUsage):
        _duration(text)


def topic(*stretches: tuple[int, int]) -> TopicInfo:
    partitions = tuple(PartitionInfo(number, *stretch) for number, stretch in enumerate(stretches))
    return TopicInfo("t", partitions, None, compacted=False, message=None)


@pytest.mark.parametrize(
    ("stretches", "committed", "lag"),
    [
        ([(0, 10)], {0: 10}, 0),
        ([(0, 10)], {0: 4}, 6),
        ([(0, 10), (0, 5)], {0: 10}, 5),
        ([(5, 10)], {0: 2}, 5),
    ],
)
def test_lag_is_what_is_there_and_not_committed(
    stretches: list[tuple[int, int]], committed: dict[int, int], lag: int
) -> None:
    groups = {"g": {TopicPartition("t", number): offset for number, offset in committed.items()}}
    assert topics.lags(topic(*stretches), groups) == {"g": lag}


def test_a_group_that_reads_another_topic_is_not_behind_here() -> None:
    assert topics.lags(topic((0, 10)), {"g": {TopicPartition("other", 0): 1}}) == {}
