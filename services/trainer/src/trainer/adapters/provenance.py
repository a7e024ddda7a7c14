"""Which code this is, and in which environment it runs."""

import hashlib
import importlib.util
import subprocess
from importlib.metadata import distributions
from pathlib import Path

from trainer.domain.errors import UnknownCommit
from trainer.ports import Provenance

_LOCK = "uv.lock"


def provenance_of(module: str, code_commit: str | None) -> Provenance:
    """Find out about a project's module.

    Args:
        module: The project, e.g. `examples.flights`.
        code_commit: What to say instead of asking git, where there is none.

    Raises:
        UnknownCommit: no commit is given and the module is in no git repository.
    """
    folder = _folder_of(module)
    return Provenance(code_commit or _git_commit(folder), _environment_lock(folder))


def _folder_of(module: str) -> Path:
    found = importlib.util.find_spec(module)
    return Path(found.origin).resolve().parent if found and found.origin else Path.cwd()


def _git_commit(folder: Path) -> str:
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        raise UnknownCommit(
            f"{folder} is in no git repository with a commit: set TIDEMARK_CODE_COMMIT to the commit this "
            "code was built from"
        )
    return f"{commit}-dirty" if _git(folder, "status", "--porcelain") else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - git is wherever the user has it
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _environment_lock(folder: Path) -> str:
    """SHA-256 of the nearest lock file above the project, else of what is installed: names and versions."""
    for place in (folder, *folder.parents):
        lock = place / _LOCK
        if lock.is_file():
            return hashlib.sha256(lock.read_bytes()).hexdigest()
    installed = sorted({f"{one.name}=={one.version}" for one in distributions()})
    return hashlib.sha256("\n".join(installed).encode()).hexdigest()
