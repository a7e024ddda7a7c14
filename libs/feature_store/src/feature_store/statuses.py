"""What became of each feature of a vector."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """What became of one feature of one request; the numbers are `tidemark.scoring.v1.FeatureStatus`'s."""

    PRESENT = 1
    """Read from a fresh row, or computed."""
    MISSING = 2
    """The entity has no row, or no value in the window; the default stands in the vector."""
    STALE = 3
    """The row's newest event is older than the view's TTL; the default stands in the vector."""
    DEFAULTED = 4
    """The store or the row could not be read, or a function failed; the default stands in the vector."""
