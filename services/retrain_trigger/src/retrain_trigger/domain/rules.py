"""What a project declares of one model, as the decisions need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from monitoring.monitors import MonitorKind
from monitoring.policies import PerformanceDecay, PersistentDrift, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitoring.monitors import Monitor


@dataclass(frozen=True, slots=True)
class Rules:
    """A model's policies, in the order in which they are asked.

    Attributes:
        tells_labels: Whether a performance monitor says how many labels are known.
    """

    policies: tuple[Policy, ...]
    tells_labels: bool

    @classmethod
    def of(cls, model: str, policies: Iterable[Policy], monitors: Iterable[Monitor]) -> Self:
        """Select what is about a model."""
        own = tuple(policy for policy in policies if policy.model == model)
        told = any(one.model == model and one.kind is MonitorKind.PERFORMANCE for one in monitors)
        return cls(own, told)

    @property
    def most_windows(self) -> int:
        """The longest row of windows that a policy looks back on."""
        streaks = [policy.windows for policy in self.policies if isinstance(policy, _STREAKS)]
        return max(streaks, default=1)

    @property
    def longest_veto_us(self) -> int:
        """How long a breach of data quality may matter."""
        return max((policy.veto_within_us for policy in self.policies), default=0)


_STREAKS = (PersistentDrift, PerformanceDecay)
