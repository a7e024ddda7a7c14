"""The control plane's one alert: a rollout was aborted because its candidate did worse."""

from dataclasses import dataclass, replace
from typing import Final, Self

from control_plane.domain.comparisons import Comparison, Quality
from control_plane.domain.rollouts import Rollout
from control_plane.domain.versions import Version

RUNBOOK: Final = "docs/runbooks/rollout-aborted.md"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that speaks for the alert: the champion's before, the candidate's now."""

    statistic: str
    before: float | None
    now: float
    rows: int


@dataclass(frozen=True, slots=True)
class AbortAlert:
    """The newest abort of a model's rollouts; it fires until the next rollout starts.

    Attributes:
        episode: Counts the model's aborts, from 1.
        version: The candidate that did worse.
        requests_affected: Requests of the window that told.
    """

    model: str
    episode: int
    version: str
    owner: str
    summary: str
    evidence: tuple[Figure, ...]
    requests_affected: int
    fired_at_us: int
    resolved_at_us: int | None = None

    @property
    def fingerprint(self) -> str:
        """What is wrong with what."""
        return f"{self.model}:rollout-aborted"

    @property
    def firing(self) -> bool:
        """Whether it still says something that holds."""
        return self.resolved_at_us is None

    def resolved(self, at_us: int) -> Self:
        """The alert as it ends; event time never runs backwards."""
        return replace(self, resolved_at_us=max(at_us, self.fired_at_us))


def fire(rollout: Rollout, candidate: Version, seen: Comparison, before: AbortAlert | None) -> AbortAlert:
    """Returns the alert that an automatic abort raises."""
    return AbortAlert(
        model=rollout.model,
        episode=before.episode + 1 if before else 1,
        version=rollout.version,
        owner=candidate.provenance.owner,
        summary=f"Rollout {rollout.rollout_id} was aborted: {rollout.last.reason}",
        evidence=_evidence(seen.quality_of(rollout.previous), seen.quality_of(rollout.version)),
        requests_affected=seen.paired,
        fired_at_us=rollout.last.at_us,
    )


def _evidence(previous: Quality, candidate: Quality) -> tuple[Figure, ...]:
    before = dict(previous.figures)
    return tuple(
        Figure(statistic, before.get(statistic), now, candidate.labelled)
        for statistic, now in candidate.figures
    )
