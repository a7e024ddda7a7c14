"""Puts the project of the integration tests where `load_project` finds it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "privacy" / "kit"))
