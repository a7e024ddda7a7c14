"""Puts this suite's project where its tests and the services they start find it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "kit"))
