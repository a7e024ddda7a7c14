import json
from pathlib import Path

import pytest
from local_stack.cli import app
from typer.testing import CliRunner

runner = CliRunner()


def words(output: str) -> str:
    """What was printed, whatever the width of the terminal broke or framed."""
    return " ".join(output.replace("│", " ").split())


@pytest.mark.parametrize("command", ["up", "status", "down"])
def test_the_help_of_a_command_shows_how_it_is_used(command: str) -> None:
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"tidemark stack {command}" in result.stdout


def test_two_valkey_nodes_are_refused_with_what_to_write() -> None:
    result = runner.invoke(app, ["up", "--valkey-nodes", "2"])
    assert result.exit_code == 2
    assert "1 for a single Valkey or 3 for a cluster" in words(result.output)


def test_a_folder_without_a_stack_is_down(tmp_path: Path) -> None:
    result = runner.invoke(app, ["status", "--folder", str(tmp_path / "none"), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "folder": str(tmp_path / "none"),
        "state": "down",
        "owner": None,
        "servers": [],
        "given": {},
        "environment": {},
    }
    assert not (tmp_path / "none").exists()


def test_stopping_where_nothing_runs_is_no_error(tmp_path: Path) -> None:
    result = runner.invoke(app, ["down", "--folder", str(tmp_path / "none")])
    assert result.exit_code == 0
    assert "is down" in words(result.stdout)


def test_a_folder_that_is_no_stacks_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    result = runner.invoke(app, ["down", "--folder", str(tmp_path), "--delete-data"])
    assert result.exit_code == 1
    assert "is not the folder of a stack; nothing was stopped or deleted" in words(result.stderr)
    assert (tmp_path / "precious").read_text() == "data"
