"""Puts the kit, a project and the planes under test, where tests and `load_project` find it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "kit"))
