"""How time is cut: grains that are counted, windows that are measured, boundaries at which figures are taken.

A grain is the greatest common divisor of a day and of everything a model's monitors declare, so every
window, step and maturity is a whole number of grains. What a window held at a boundary is what became known
in whole grains before it: the figure is the same whenever somebody looks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from monitoring.declarations import DeclarationError
from monitoring.monitors import ConceptDrift, LabelDrift, Monitor, Performance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_GRAINS: Final = 1_000
"""A window of more grains would be read in too many pieces."""

_DAY_US: Final = 86_400_000_000
LATENESS_US: Final = 5 * 60 * 1_000_000
"""How much later than its time a request may become known and still be on time."""

Labelled = LabelDrift | Performance | ConceptDrift


class Place(NamedTuple):
    """What a sketch is about.

    Attributes:
        grain_us: Start of the grain the requests lie in.
        known_us: Start of the grain in which they, or their outcomes, became known.
    """

    model: str
    version: str
    grain_us: int
    known_us: int


class Window(NamedTuple):
    """Requests in [start, end)."""

    start_us: int
    end_us: int


def grain_of(monitors: Sequence[Monitor]) -> int:
    """Return the grain of one model's monitors.

    Raises:
        DeclarationError: Their lengths have so little in common that a window would be too many grains.
    """
    grain_us = math.gcd(_DAY_US, *(length for monitor in monitors for length in _lengths(monitor)))
    longest = max(monitors, key=lambda monitor: monitor.window_us)
    if longest.window_us > MOST_GRAINS * grain_us:
        raise longest.checker.refuse(
            f"with the other monitors of {longest.model!r} its window of {longest.window} has no common "
            f"divisor above {grain_us / 1e6:g} s: more than {MOST_GRAINS} parts",
            "Choose windows, steps and maturities that are multiples of one another.",
        )
    return grain_us


def _lengths(monitor: Monitor) -> Iterator[int]:
    yield monitor.window_us
    if isinstance(monitor, Labelled) and monitor.maturity_us:
        yield monitor.maturity_us
    if isinstance(monitor, ConceptDrift):
        yield monitor.step_us


def start_of(time_us: int, length_us: int) -> int:
    """Return the start of the stretch a time lies in; stretches are aligned to the epoch."""
    return time_us // length_us * length_us


def place_of_request(model: str, version: str, request_us: int, known_us: int, grain_us: int) -> Place:
    """Return where a request is counted; one that is a little late is counted as if on time."""
    grain = start_of(request_us, grain_us)
    return Place(model, version, grain, max(grain, start_of(known_us - LATENESS_US, grain_us)))


def place_of_outcome(model: str, version: str, request_us: int, known_us: int, grain_us: int) -> Place:
    """Return where an outcome is counted; none is known before its request."""
    grain = start_of(request_us, grain_us)
    return Place(model, version, grain, max(grain, start_of(known_us, grain_us)))


def window_at(time_us: int, length_us: int) -> Window:
    """Return the window a time lies in."""
    start_us = start_of(time_us, length_us)
    return Window(start_us, start_us + length_us)


__all__ = [
    "LATENESS_US",
    "DeclarationError",
    "Labelled",
    "Place",
    "Window",
    "grain_of",
    "place_of_outcome",
    "place_of_request",
    "start_of",
    "window_at",
]
