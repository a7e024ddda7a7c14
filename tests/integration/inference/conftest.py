"""Puts the contract suite's kit, a project and planes to start, where tests and `load_project` find it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "contract" / "inference" / "kit"))
