"""Finding the user's project."""

import sys
from pathlib import Path


def see_working_folder() -> None:
    """Lets a project in the working folder be imported, as `python -m` does for the services."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
