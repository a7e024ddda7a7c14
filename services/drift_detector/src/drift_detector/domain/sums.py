"""What can be added up in any order."""

from __future__ import annotations

from typing import Any, Protocol, Self


class Summable(Protocol):
    """A sketch: made without arguments it is empty, and sums do not depend on their order."""

    def __add__(self, other: Any, /) -> Self:
        """Return both together."""
