"""What the trigger knows of a model: a plain value, kept whole, and enough for every decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from monitoring.monitors import MonitorKind  # noqa: TC002 - read when the state is decoded

_SOON_US: Final = 90 * 86_400_000_000


class Refusal(StrEnum):
    """Why nothing is trained; the names are `tidemark.retraining.v1.RetrainRefusal`'s."""

    VETOED = "VETOED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    LABELS_IMMATURE = "LABELS_IMMATURE"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that speaks for a decision; `subject` is a feature's full name, or empty for all."""

    subject: str
    part: str
    statistic: str
    before: float | None
    now: float
    threshold: float | None
    rows: int


@dataclass(frozen=True, slots=True)
class Window:
    """The first final word of a monitor on a window; `version` served it."""

    start_us: int
    end_us: int
    version: str
    breached: bool
    figures: tuple[Figure, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Track:
    """A monitor's latest windows, oldest first."""

    kind: MonitorKind
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Labelled:
    """How many of a window's requests have labels, by its newest revision."""

    start_us: int
    end_us: int
    version: str
    revision: int
    rows: int
    coverage: float


@dataclass(frozen=True, slots=True)
class Version:
    """What is known of a version; see `facts.Registered`."""

    trained_until_us: int | None
    algorithm: str
    owner: str


@dataclass(frozen=True, slots=True)
class Route:
    """A version is champion for what is measured of windows that end after `since_us`."""

    revision: int
    champion: str
    since_us: int


@dataclass(frozen=True, slots=True)
class Request:
    """A retraining that was asked for.

    Attributes:
        train_from_us: The first request to learn from; None for all there is.
        train_until_us: What was known by then is learned from.
        expires_at_us: An approval is void when event time is beyond it.
        veto_within_us: What the policy said when it asked.
    """

    request_id: str
    policy: str
    champion: str
    algorithm: str
    train_from_us: int | None
    train_until_us: int
    requested_at_us: int
    expires_at_us: int
    veto_within_us: int
    new_labels: int
    reason: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """A request that is no longer open.

    Attributes:
        outcome: "APPROVED", or the refusal.
        approval_id: The decision that settled it; empty when none did.
    """

    request_id: str
    outcome: str
    approval_id: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """The state of one of the trigger's two alerts; see `AlertChanged`."""

    name: str
    firing: bool
    episode: int
    revision: int
    monitor: str
    version: str
    owner: str
    summary: str
    figures: tuple[Figure, ...]
    fired_at_us: int
    changed_at_us: int
    resolved_at_us: int | None
    times: int


@dataclass(frozen=True, slots=True)
class ModelState:
    """All that is known of a model.

    Attributes:
        now_us: The event time that has come: the newest end of a window. 0 before the first.
        routes: The latest, by revision.
        tracks: By monitor.
        labelled: By performance monitor, oldest first.
        request: The one that is open; there is never a second.
        rested_from_us: When a request was last settled, or a version registered in answer to one.
        settled: The latest.
        spoke_at_us: By policy, the event time at which it last asked or was refused.
        alarms: By name.
    """

    now_us: int = 0
    routes: tuple[Route, ...] = ()
    versions: dict[str, Version] = field(default_factory=dict)
    tracks: dict[str, Track] = field(default_factory=dict)
    labelled: dict[str, tuple[Labelled, ...]] = field(default_factory=dict)
    request: Request | None = None
    rested_from_us: int | None = None
    settled: tuple[Settled, ...] = ()
    spoke_at_us: dict[str, int] = field(default_factory=dict)
    alarms: dict[str, Alarm] = field(default_factory=dict)

    @property
    def champion(self) -> str:
        """The version that served by the event time that has come; empty when there is none.

        Routes and measurements are on different topics: which is read first must not matter. A route that is
        dated far ahead was dated by a clock, before any event time was known: it is in force from the start.
        """
        in_force = [
            route for route in self.routes if not self.now_us <= route.since_us <= self.now_us + _SOON_US
        ]
        found = in_force[-1:] or self.routes[:1]
        return found[0].champion if found else ""

    @property
    def owner(self) -> str:
        """Who looks after the champion."""
        known = self.versions.get(self.champion)
        return known.owner if known else ""
