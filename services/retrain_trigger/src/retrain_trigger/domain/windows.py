"""What is kept of measurements, and what it adds up to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from monitoring.monitors import MonitorKind

from retrain_trigger.domain.state import Labelled, ModelState, Track, Window

if TYPE_CHECKING:
    from retrain_trigger.domain.facts import Measured
    from retrain_trigger.domain.rules import Rules

_MOST_LABELLED: Final = 1_000


def take_in(state: ModelState, measured: Measured, rules: Rules) -> tuple[ModelState, bool]:
    """Keep a measurement; say whether it is the first final word on the monitor's newest window.

    What was taken in before changes nothing when it comes again.
    """
    state = replace(state, now_us=max(state.now_us, measured.window_end_us))
    if measured.kind is MonitorKind.PERFORMANCE and not measured.provisional:
        state = _count_labels(state, measured)
    track = state.tracks.get(measured.monitor, Track(measured.kind))
    last_end_us = track.windows[-1].end_us if track.windows else 0
    if not measured.conclusive or measured.window_end_us <= last_end_us:
        return state, False
    window = Window(
        measured.window_start_us,
        measured.window_end_us,
        measured.version,
        bool(measured.breached),
        measured.figures,
        measured.reason,
    )
    kept = _worth_keeping((*track.windows, window), measured.kind, state.now_us, rules)
    tracks = {**state.tracks, measured.monitor: Track(measured.kind, kept)}
    return replace(state, tracks=tracks), True


def row_of_breaches(state: ModelState, monitor: str) -> tuple[Window, ...]:
    """Return the latest breached windows in a row; only those that the champion served speak against it."""
    row: list[Window] = []
    for window in reversed(state.tracks[monitor].windows if monitor in state.tracks else ()):
        if not window.breached or window.version != state.champion:
            break
        row.append(window)
    return tuple(reversed(row))


def new_labels(state: ModelState) -> int:
    """Count the labelled requests of windows that begin after the champion's training ended.

    Where several performance monitors count, the one that has counted most; 0 when nobody said until when
    the champion was trained.
    """
    champion = state.versions.get(state.champion)
    if champion is None or champion.trained_until_us is None:
        return 0
    since_us = champion.trained_until_us
    counts = (
        sum(round(one.rows * one.coverage) for one in windows if one.start_us >= since_us)
        for windows in state.labelled.values()
    )
    return max(counts, default=0)


def newest_labelled(state: ModelState) -> Labelled | None:
    """Return the newest window whose labels have matured."""
    return max(
        (windows[-1] for windows in state.labelled.values() if windows),
        key=lambda one: one.end_us,
        default=None,
    )


def broken_quality(state: ModelState, within_us: int) -> tuple[str, Window] | None:
    """Return the newest window of broken data that ended so short a time ago, and its monitor."""
    found = [
        (window.end_us, monitor, window)
        for monitor, track in sorted(state.tracks.items())
        if track.kind is MonitorKind.DATA_QUALITY
        for window in track.windows
        if window.breached and state.now_us - window.end_us <= within_us
    ]
    if not found:
        return None
    _, monitor, window = max(found, key=lambda one: one[0])
    return monitor, window


def quality_is_sound(state: ModelState) -> bool:
    """Tell whether no data-quality monitor's newest window is breached."""
    return not any(
        track.windows and track.windows[-1].breached
        for track in state.tracks.values()
        if track.kind is MonitorKind.DATA_QUALITY
    )


def _worth_keeping(
    windows: tuple[Window, ...], kind: MonitorKind, now_us: int, rules: Rules
) -> tuple[Window, ...]:
    newest = windows[-rules.most_windows :]
    if kind is not MonitorKind.DATA_QUALITY:
        return newest
    since_us = now_us - rules.longest_veto_us
    older = windows[: -rules.most_windows]
    return (*(window for window in older if window.breached and window.end_us >= since_us), *newest)


def _count_labels(state: ModelState, measured: Measured) -> ModelState:
    counted = Labelled(
        measured.window_start_us,
        measured.window_end_us,
        measured.version,
        measured.revision,
        measured.rows,
        measured.label_coverage or 0.0,
    )
    windows = {(one.start_us, one.version): one for one in state.labelled.get(measured.monitor, ())}
    place = (counted.start_us, counted.version)
    if place in windows and windows[place].revision >= counted.revision:
        return state
    windows[place] = counted
    ordered = tuple(sorted(windows.values(), key=lambda one: (one.end_us, one.version)))[-_MOST_LABELLED:]
    return replace(state, labelled={**state.labelled, measured.monitor: ordered})
