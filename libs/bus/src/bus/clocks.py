"""The wall clock, which only stamps what the bus itself writes."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Gives microseconds since the epoch, UTC."""


def wall_clock_us() -> int:
    """Read the machine's clock."""
    return time.time_ns() // 1000
