"""Which windows are to be measured at a boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from monitoring.monitors import ConceptDrift, Monitor, MonitorKind

from drift_detector.domain.diaries import Topic
from drift_detector.domain.windows import Labelled, Window, start_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from drift_detector.domain.diaries import Diary


class Due(NamedTuple):
    """A window that may be measured.

    Attributes:
        is_told: It was measured before: it is worth saying only if it differs.
        is_mature: It is final whatever its coverage.
    """

    monitor: Monitor
    window: Window
    is_told: bool
    is_mature: bool


def due_at(
    boundary_us: int, monitors: Iterable[Monitor], diary: Diary, changed_grains: Collection[int]
) -> list[Due]:
    """List the windows to look into: those that end, those that wait for labels, those that changed.

    Args:
        boundary_us: In event time.
        monitors: Of one model and one kind of cursor.
        diary: What was told.
        changed_grains: Grains of which something became known in the last grain of time.

    Returns:
        In the order in which they are told: by window's end, data quality first, then by name.
    """
    found = [due for monitor in monitors for due in _due(boundary_us, monitor, diary, changed_grains)]
    return sorted(found, key=_order)


def _due(boundary_us: int, monitor: Monitor, diary: Diary, changed: Collection[int]) -> Iterator[Due]:
    maturity_us = monitor.maturity_us if isinstance(monitor, Labelled) else 0
    for window in _ended(boundary_us, monitor.window_us, maturity_us, diary):
        if Topic(monitor.name, window.start_us) not in diary.entries:
            yield Due(monitor, window, is_told=False, is_mature=boundary_us >= window.end_us + maturity_us)
    for start_us in {start_of(grain_us, monitor.window_us) for grain_us in changed}:
        entry = diary.entries.get(Topic(monitor.name, start_us))
        if entry is not None and entry.decided_us < boundary_us:
            yield Due(monitor, Window(start_us, start_us + monitor.window_us), is_told=True, is_mature=True)


def _ended(boundary_us: int, length_us: int, maturity_us: int, diary: Diary) -> Iterator[Window]:
    """Windows that have ended and are not older than their maturity, oldest first."""
    first_end = -(-(boundary_us - maturity_us) // length_us) * length_us
    earliest = start_of(diary.since_us, length_us)
    for end_us in range(first_end, boundary_us + 1, length_us):
        if end_us - length_us >= earliest:
            yield Window(end_us - length_us, end_us)


def _order(due: Due) -> tuple[int, bool, str]:
    return due.window.end_us, due.monitor.kind is not MonitorKind.DATA_QUALITY, due.monitor.name


def steps_in(window: Window, monitor: Monitor) -> Sequence[Window]:
    """Cut a window into its steps; a monitor without steps has none."""
    if not isinstance(monitor, ConceptDrift):
        return ()
    step_us = monitor.step_us
    return [Window(start, start + step_us) for start in range(window.start_us, window.end_us, step_us)]
