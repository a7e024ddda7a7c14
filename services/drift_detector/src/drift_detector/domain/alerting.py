"""From measurements to alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from monitoring.alerts import Alert, AlertState, Reading, observe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from monitoring.monitors import Monitor

    from drift_detector.domain.figures import Figure

_STATES: Final = {
    AlertState.PENDING: "breached, not yet for long enough to fire",
    AlertState.FIRING: "firing",
    AlertState.RESOLVED: "resolved",
}


@dataclass(frozen=True, slots=True)
class Told:
    """A measurement as it was told.

    Attributes:
        decided_us: When its figures were taken, in event time.
    """

    model: str
    monitor: str
    version: str
    reading: Reading
    reason: str
    figures: tuple[Figure, ...]
    decided_us: int


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert's new state, and why."""

    monitor: Monitor
    owner: str
    alert: Alert
    told: Told

    @property
    def fingerprint(self) -> str:
        """What is wrong with what."""
        return fingerprint_of(self.told.model, self.told.monitor)

    @property
    def id(self) -> str:
        """The same whoever tells it."""
        return f"alert:{self.fingerprint}:{self.alert.episode}:{self.alert.revision}"

    @property
    def summary(self) -> str:
        """One sentence or two: the state, and the numbers behind it."""
        return f"{self.monitor.name} of {self.told.model} is {_STATES[self.alert.state]}. {self.told.reason}"


def fingerprint_of(model: str, monitor: str) -> str:
    """Name the trouble a monitor finds."""
    return f"{model}:{monitor}"


def notices_of(
    told: Iterable[Told],
    alerts: Mapping[str, Alert],
    monitors: Mapping[str, Monitor],
    owners: Mapping[str, str],
) -> list[Notice]:
    """Take measurements into account, in order, and return what is new.

    Args:
        told: Measurements; one of a monitor that is no longer declared changes nothing.
        alerts: By fingerprint, each alert's newest state.
        monitors: By fingerprint.
        owners: Of the models, for monitors that name none.
    """
    current = dict(alerts)
    notices: list[Notice] = []
    for one in told:
        fingerprint = fingerprint_of(one.model, one.monitor)
        monitor = monitors.get(fingerprint)
        if monitor is None:
            continue
        before = current.get(fingerprint)
        after = observe(before, one.reading, monitor.rules)
        if after is None or after is before:
            continue
        current[fingerprint] = after
        notices.append(Notice(monitor, monitor.owner or owners.get(one.model, ""), after, one))
    return notices
