"""Clocks, given to whoever needs one."""

from __future__ import annotations

import time
from collections.abc import Callable

WallClock = Callable[[], int]
"""Microseconds since the epoch, UTC: when a request says no time of its own."""

Stopwatch = Callable[[], float]
"""Seconds from an arbitrary start, never backwards: for latency and deadlines."""


def wall_clock_us() -> int:
    """Read the machine's clock."""
    return time.time_ns() // 1000


def stopwatch_s() -> float:
    """Read the machine's monotonic clock."""
    return time.perf_counter()


def processor_s() -> float:
    """Seconds of processor that this process has used."""
    return time.process_time()
