"""A folder with a version that scores."""

from pathlib import Path

import pytest

from tests.integration.batch_scoring.jobs import Scoring


@pytest.fixture
def scoring(tmp_path: Path) -> Scoring:
    """A folder with a version in it."""
    scoring = Scoring(tmp_path)
    scoring.write_package()
    return scoring
