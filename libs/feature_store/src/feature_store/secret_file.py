"""The deployment's secret: read from a file, named by its id, never shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from feature_store.sensitivity import MissingKey, Pseudonyms

if TYPE_CHECKING:
    from feature_store.project import Project

_MAKE_ONE = "make one with `head -c 32 /dev/urandom | base64 > FILE`, readable by the services alone"


def read_pseudonyms(file: str) -> Pseudonyms | None:
    """Return what hashes with the secret in a file, without the white space around it; None for no file.

    Raises:
        MissingKey: the file cannot be read, or holds fewer than 16 bytes.
    """
    if not file:
        return None
    try:
        return Pseudonyms(Path(file).read_bytes().strip())
    except (OSError, MissingKey) as error:
        raise MissingKey(f"PRIVACY_KEY_FILE={file!r} holds no key: {error}; {_MAKE_ONE}") from error


def pseudonyms_for(project: Project, file: str) -> Pseudonyms | None:
    """Return what a project's sensitive fields and erased subjects are hashed with.

    Raises:
        MissingKey: the project needs a key and none is given, or the file holds none.
    """
    found = read_pseudonyms(file)
    if found is None and project.is_sensitive:
        topics = ", ".join(one.topic for one in project.sources.values() if one.is_sensitive)
        raise MissingKey(
            f"PRIVACY_KEY_FILE is not set, and project {project.module} has sensitive fields in {topics}: "
            f"{_MAKE_ONE}"
        )
    return found
