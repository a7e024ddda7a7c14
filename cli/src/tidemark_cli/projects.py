"""Finding the user's project."""

import sys
from pathlib import Path

from feature_store import DefinitionError, Project, load_project

from tidemark_cli.failures import Failure, WrongUsage


def see_working_folder() -> None:
    """Lets a project in the working folder be imported, as `python -m` does for the services."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def project_named(name: str | None) -> Project:
    """Loads the project that a command is about.

    Raises:
        WrongUsage: none was named.
        Failure: it cannot be loaded.
    """
    if not name:
        raise WrongUsage("no project was named: give --project MODULE, or set TIDEMARK_PROJECT")
    see_working_folder()
    try:
        return load_project(name)
    except DefinitionError as error:
        raise Failure(f"project {name} cannot be loaded: {error}") from error
