"""Puts the project, and the kit that planes are tested with, where tests and `load_project` find them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "contract" / "inference" / "kit"))
sys.path.insert(0, str(Path(__file__).parent))
