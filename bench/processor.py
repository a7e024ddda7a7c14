"""Processor time of a server's calls: what other work on the machine moves least."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.load import Told


def cpu_us_a_call(pid: int, calls: Callable[[], Told]) -> tuple[Told, float]:
    """Make calls; return what was told of them, and what a process took of processor time for each, in us."""
    process = psutil.Process(pid)
    before = process.cpu_times()
    told = calls()
    after = process.cpu_times()
    taken_s = after.user + after.system - before.user - before.system
    return told, 1e6 * taken_s / told["calls"]
