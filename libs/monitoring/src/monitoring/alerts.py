"""The life of an alert: pure, driven by readings of one monitor in the order of their windows.

    quiet -> PENDING -> FIRING -> RESOLVED -> PENDING (the next episode) -> ...
             PENDING -> RESOLVED, never fired: the breach ended before it had lasted

Everything that the next step needs is in `Alert`, and everything in `Alert` is told by AlertChanged: whoever
takes over rebuilds it from the topic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class AlertState(StrEnum):
    """Where an alert is; the names are `tidemark.monitoring.v1.AlertState`'s."""

    PENDING = "PENDING"
    """Breached, not yet for as long as the rules demand."""
    FIRING = "FIRING"
    RESOLVED = "RESOLVED"
    """Over. One that never fired (`Alert.fired` is false) went back quietly: nobody needs to be told."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How an alert begins and ends.

    Attributes:
        fire_after: Breached windows in a row before it fires, at least 1.
        clear_after: Clear windows in a row before a firing one is resolved, at least 1.
    """

    fire_after: int = 1
    clear_after: int = 1

    def __post_init__(self) -> None:
        if self.fire_after < 1 or self.clear_after < 1:
            raise ValueError(f"fire_after and clear_after must be at least 1; found {self}")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a monitor says of one window.

    Attributes:
        window_start_us: The window is [start, end).
        window_end_us: See above.
        breached: Beyond a threshold.
        clear: Within the stricter clearing thresholds. A window may be neither; it cannot be both.
        conclusive: False for too few rows, no reference, provisional figures, and revisions of windows that
            were final already: such a reading changes nothing, and interrupts no row.
        rows: Requests answered in the window.
    """

    window_start_us: int
    window_end_us: int
    breached: bool
    clear: bool
    conclusive: bool
    rows: int

    def __post_init__(self) -> None:
        if self.breached and self.clear:
            raise ValueError(f"a window cannot be breached and clear at once: {self}")
        if self.window_end_us <= self.window_start_us:
            raise ValueError(f"a window ends after it starts: {self}")


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert's state, whole. Times are ends of windows, in event time.

    Attributes:
        state: Where it is.
        episode: Counts the times it began, from 1.
        revision: Counts the readings taken into account in this episode, from 0.
        pending_since_us: The end of the episode's first breached window.
        firing_since_us: When it fired; None when it has not.
        clearing_since_us: The end of the first of the clear windows in a row; None while the last was not.
        resolved_at_us: When it was over; None while it is not.
        changed_at_us: The end of the window last taken into account.
        requests_affected: Requests answered in breached windows of this episode.
        breached_windows: Breached windows in a row, up to the last.
        clear_windows: Clear windows in a row, up to the last.
    """

    state: AlertState
    episode: int
    revision: int
    pending_since_us: int
    firing_since_us: int | None
    clearing_since_us: int | None
    resolved_at_us: int | None
    changed_at_us: int
    requests_affected: int
    breached_windows: int
    clear_windows: int

    @property
    def fired(self) -> bool:
        """Whether it fired in this episode: one that is resolved without went back quietly."""
        return self.firing_since_us is not None


def observe(alert: Alert | None, reading: Reading, rules: Rules) -> Alert | None:
    """Return the alert after a reading; the same object when the reading changes nothing.

    Readings of one monitor must come in the order of their windows, and of each window only the first that
    is final may be conclusive. A repeated reading, or one of a window that is not after the last taken into
    account, changes nothing, so whatever was read already may be read again.

    Args:
        alert: Its state; None when it never began.
        reading: What the monitor says.
        rules: When to fire and when to clear.
    """
    if not reading.conclusive:
        return alert
    if alert is not None and reading.window_end_us <= alert.changed_at_us:
        return alert
    if alert is None or alert.state is AlertState.RESOLVED:
        return _begin(alert, reading, rules) if reading.breached else alert
    if reading.breached:
        return _breach(alert, reading, rules)
    if alert.state is AlertState.PENDING:
        return _resolve(alert, reading)
    return _recover(alert, reading, rules)


def _begin(last: Alert | None, reading: Reading, rules: Rules) -> Alert:
    end_us = reading.window_end_us
    fires = rules.fire_after == 1
    return Alert(
        state=AlertState.FIRING if fires else AlertState.PENDING,
        episode=1 if last is None else last.episode + 1,
        revision=0,
        pending_since_us=end_us,
        firing_since_us=end_us if fires else None,
        clearing_since_us=None,
        resolved_at_us=None,
        changed_at_us=end_us,
        requests_affected=reading.rows,
        breached_windows=1,
        clear_windows=0,
    )


def _breach(alert: Alert, reading: Reading, rules: Rules) -> Alert:
    in_a_row = alert.breached_windows + 1
    fires = alert.state is AlertState.PENDING and in_a_row >= rules.fire_after
    return replace(
        alert,
        state=AlertState.FIRING if fires else alert.state,
        revision=alert.revision + 1,
        firing_since_us=reading.window_end_us if fires else alert.firing_since_us,
        clearing_since_us=None,
        changed_at_us=reading.window_end_us,
        requests_affected=alert.requests_affected + reading.rows,
        breached_windows=in_a_row,
        clear_windows=0,
    )


def _recover(alert: Alert, reading: Reading, rules: Rules) -> Alert:
    """Take a window that is no breach into account; one that is not clear either starts the count anew."""
    if not reading.clear:
        after = replace(alert, clearing_since_us=None, clear_windows=0)
        return _step(after, reading)
    after = replace(
        alert,
        clearing_since_us=reading.window_end_us
        if alert.clearing_since_us is None
        else alert.clearing_since_us,
        clear_windows=alert.clear_windows + 1,
    )
    if after.clear_windows >= rules.clear_after:
        return _resolve(after, reading)
    return _step(after, reading)


def _resolve(alert: Alert, reading: Reading) -> Alert:
    ended = replace(alert, state=AlertState.RESOLVED, resolved_at_us=reading.window_end_us)
    return _step(ended, reading)


def _step(alert: Alert, reading: Reading) -> Alert:
    return replace(
        alert, revision=alert.revision + 1, changed_at_us=reading.window_end_us, breached_windows=0
    )
