"""Every alert has a runbook that somebody woken at night can follow: whole, and with commands that exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tidemark.monitoring.v1.alert_pb2 import AlertType
from tidemark_cli.alert_states import TYPES
from tidemark_cli.app import app
from tidemark_cli.runbooks import filled, runbook_text
from tidemark_cli.words import words_of
from typer.exceptions import TyperException

FOLDER = Path(__file__).parents[3] / "docs" / "runbooks"
PAGES = sorted(FOLDER.glob("*.md"))
RUNBOOKS = {page.stem: page.read_text() for page in PAGES if page.stem != "README"}
SECTIONS = [
    "What it means",
    "How bad it is",
    "First five minutes",
    "Real or broken",
    "What to do",
    "When to escalate",
    "How it ends",
    "False alarms",
]
TIDEMARK = typer.main.get_command(app)


def commands_in(text: str) -> Iterator[str]:
    for block in re.findall(r"^ *```bash\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
        yield from (line.strip() for line in block.splitlines())


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """Returns the command that words begin with, and the words that are its own."""
    command: Any = TIDEMARK
    while words and hasattr(command, "get_command"):
        found = command.get_command(None, words[0])
        assert found is not None, f"there is no `tidemark {' '.join(words)}`"
        command, words = found, words[1:]
    return command, words


def parse(line: str) -> None:
    """Parses a command as `tidemark` would, without running it; fails if it makes no sense."""
    program, *words = shlex.split(line)
    assert program == "tidemark"
    command, arguments = command_of(words)
    command.make_context(line, arguments)


def test_each_type_of_alert_has_a_runbook_and_each_runbook_a_type() -> None:
    assert len(AlertType.keys()) > 1
    assert sorted(RUNBOOKS) == sorted(words_of(TYPES))


@pytest.mark.parametrize("name", RUNBOOKS)
def test_a_runbook_has_every_section_in_its_order(name: str) -> None:
    assert re.findall(r"^## (.+)$", RUNBOOKS[name], re.MULTILINE) == SECTIONS
    for section in re.split(r"^## .+$", RUNBOOKS[name], flags=re.MULTILINE)[1:]:
        assert len(section.split()) > 10


@pytest.mark.parametrize("name", RUNBOOKS)
def test_the_first_five_minutes_begin_with_the_alert_itself(name: str) -> None:
    minutes = RUNBOOKS[name].split("## First five minutes")[1].split("## Real or broken")[0]
    assert next(commands_in(minutes)) == "tidemark alerts show FINGERPRINT"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_in_a_runbook_exists_and_reads_as_it_is_written(page: Path) -> None:
    for line in commands_in(page.read_text()):
        if not line.startswith("python -m trainer train "):
            parse(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_that_a_sentence_names_exists(page: Path) -> None:
    for named in re.findall(r"`tidemark ([^`]+)`", page.read_text()):
        command_of(named.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, _, heading in re.findall(r"\]\(([^)#]+)(#([^)]+))?\)", page.read_text()):
        headings = re.findall(r"^## (.+)$", (page.parent / path).read_text(), re.MULTILINE)
        assert heading in {"", *(found.lower().replace(" ", "-") for found in headings)}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("tidemark alert list", "there is no"),
        ("tidemark alerts list --nope", "No such option"),
        ("tidemark alerts list --state broken", "is not one of"),
        ("tidemark rollback MODEL", "Missing"),
    ],
)
def test_a_command_that_does_not_exist_would_be_found(line: str, told: str) -> None:
    with pytest.raises((AssertionError, TyperException), match=told):
        parse(line)


def test_a_runbook_is_found_by_the_path_that_an_alert_names() -> None:
    text = runbook_text("docs/runbooks/data-quality.md")
    assert text == RUNBOOKS["data-quality"]


@pytest.mark.parametrize(
    "named",
    [
        "",
        "https://runbooks.example.com/data-quality.md",
        "docs/runbooks/no-such.md",
        "docs/runbooks/../architecture.md",
        "docs/architecture.md",
        "/etc/hostname",
    ],
)
def test_what_is_no_runbook_of_ours_is_not_read(named: str) -> None:
    assert runbook_text(named) is None


def test_a_runbooks_commands_name_the_alert_that_is_shown() -> None:
    text = "tidemark alerts show FINGERPRINT # of MODEL, MODELS, OTHER_VERSION and VERSION"
    names = {"MODEL": "late", "FINGERPRINT": "late:drift", "VERSION": "gb-1"}
    told = filled(text, names)
    assert told == "tidemark alerts show late:drift # of late, MODELS, OTHER_VERSION and gb-1"
    assert filled(text, names | {"VERSION": ""}).endswith("OTHER_VERSION and VERSION")
    assert filled(text, {}) == text


@pytest.mark.parametrize("name", ["$(rm)", "a b", 'a"b', "`a`", "a;b", "a\n"])
def test_a_name_that_a_shell_would_take_apart_is_not_put_into_a_command(name: str) -> None:
    assert filled("tidemark route show MODEL", {"MODEL": name}) == "tidemark route show MODEL"
