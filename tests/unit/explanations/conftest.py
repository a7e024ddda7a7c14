"""Puts the kits of inference's contract suite and of this one where tests and `load_project` find them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "contract" / "inference" / "kit"))
sys.path.insert(0, str(Path(__file__).parent / "kit"))
