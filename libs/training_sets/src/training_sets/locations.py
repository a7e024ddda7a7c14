"""One name for each place where something is kept."""

from __future__ import annotations

from pathlib import Path


def uri_of(location: str) -> str:
    """Return a place as whoever writes there and whoever looks for it name it.

    Args:
        location: A URI, which stays as it is, or a path, which becomes absolute.
    """
    return location if "://" in location else str(Path(location).resolve())
