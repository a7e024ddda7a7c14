"""Companies for tests that count the turns of the loop."""

from __future__ import annotations

from typing import Final

from inference.domain.gathering import Company

# A batch takes whoever is there, however much of its processor the test run has used.
AT_ONCE: Final = Company(longest_s=0.0, short_share=float("inf"))
