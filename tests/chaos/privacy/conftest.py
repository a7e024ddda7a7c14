"""Puts the deployment's kit where these tests find it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "privacy" / "kit"))
