"""Puts the kit of inference's contract suite, with its project, where tests and `load_project` find it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "contract" / "inference" / "kit"))
