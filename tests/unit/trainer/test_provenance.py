"""A version says which code made it."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from trainer.adapters.provenance import provenance_of
from trainer.domain.errors import UnknownCommit

IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.org")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A project's module in a folder of its own, by a name of its own."""
    name = f"project_{tmp_path.name}"
    (tmp_path / f"{name}.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


@pytest.fixture
def commit(tmp_path: Path, module: str) -> str:
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", f"{module}.py")
    git(tmp_path, *IDENTITY, "commit", "-q", "-m", "first")
    return git(tmp_path, "rev-parse", "HEAD")


def test_the_commit_is_gits(module: str, commit: str) -> None:
    assert provenance_of(module, None).code_commit == commit


def test_a_changed_file_makes_it_dirty(tmp_path: Path, module: str, commit: str) -> None:
    (tmp_path / f"{module}.py").write_text("changed = True\n")
    assert provenance_of(module, None).code_commit == f"{commit}-dirty"


def test_without_git_the_commit_is_given(module: str) -> None:
    assert provenance_of(module, "abc").code_commit == "abc"


def test_without_git_and_without_being_given_it_is_unknown(module: str) -> None:
    with pytest.raises(UnknownCommit, match="set TIDEMARK_CODE_COMMIT"):
        provenance_of(module, None)


def test_the_environment_is_the_lock_above_the_project(tmp_path: Path, module: str) -> None:
    (tmp_path / "uv.lock").write_bytes(b"pinned")
    assert provenance_of(module, "abc").environment_lock == hashlib.sha256(b"pinned").hexdigest()


def test_without_a_lock_the_environment_is_what_is_installed(module: str) -> None:
    first = provenance_of(module, "abc").environment_lock
    assert len(first) == 64
    assert first == provenance_of(module, "abc").environment_lock
