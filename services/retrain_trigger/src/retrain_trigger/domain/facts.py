"""What the trigger is told, as far as it matters to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitoring.monitors import MonitorKind

    from retrain_trigger.domain.state import Figure


@dataclass(frozen=True, slots=True)
class Measured:
    """A monitor measured a window, [start, end).

    Attributes:
        version: The version that served it.
        provisional: Labels are still to come; the window will be measured anew.
        amends: An earlier revision of the window was final already.
        label_coverage: Labelled requests over `rows`; None for what needs no labels.
        breached: Beyond a threshold; None for what could not be judged.
        clear: Within the stricter clearing thresholds.
        figures: The most telling first, only the breached ones of a breach.
    """

    model: str
    monitor: str
    kind: MonitorKind
    version: str
    window_start_us: int
    window_end_us: int
    revision: int
    provisional: bool
    amends: bool
    rows: int
    label_coverage: float | None
    breached: bool | None
    clear: bool
    figures: tuple[Figure, ...]
    reason: str

    @property
    def conclusive(self) -> bool:
        """Whether it is the first final word on its window, and says something."""
        return self.breached is not None and not self.provisional and not self.amends


@dataclass(frozen=True, slots=True)
class Registered:
    """A version can be had.

    Attributes:
        trained_until_us: It has learned nothing of requests from then on; None when that is not said.
        request_id: The request that it answers; empty for one that somebody trained by hand.
    """

    model: str
    version: str
    trained_until_us: int | None
    algorithm: str
    owner: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Routed:
    """A version is champion; see `state.Route`."""

    model: str
    revision: int
    champion: str
    since_us: int


@dataclass(frozen=True, slots=True)
class Decided:
    """Somebody decided on a request."""

    model: str
    request_id: str
    approval_id: str
    approved: bool
    decided_by: str
    comment: str
    decided_at_us: int


Fact = Measured | Registered | Routed | Decided
