"""Puts the kits of inference's contract suite and of explanations where tests find them."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]
sys.path.insert(0, str(TESTS / "contract" / "inference" / "kit"))
sys.path.insert(0, str(TESTS / "unit" / "explanations" / "kit"))
