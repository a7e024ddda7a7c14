"""Monitors of the feature store: were the vectors that were served right, and were they up to date?

They look at a sample of a model's requests, chosen by a hash of the prediction's id: whoever samples, and
however often, samples the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from monitoring.declarations import microseconds
from monitoring.monitors import Monitor, MonitorKind, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitoring.declarations import Checker

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Sampled(Monitor):
    """A monitor that recomputes a sample.

    Attributes:
        sample: The share of requests that is recomputed; 0 switches the monitor off.
    """

    window: timedelta = _HOUR
    minimum_rows: int = 20
    sample: float = 0.01

    def _check_own(self, check: Checker) -> None:
        check.share("sample", self.sample, zero=True)


@dataclass(frozen=True, kw_only=True)
class Consistency(Sampled):
    """Are the features that were served those that the lake gives for what their rows had applied?

    Whatever `minimum_rows` says, a window is breached by a single difference where none is allowed: it is a
    defect, however few requests were looked at.

    Attributes:
        max_rate: A feature breaches when more than this share of its samples is mismatched, missing or extra.
        grace: An entity without a row must have one if its first event had been recorded so long before the
            request.
    """

    severity: Severity = Severity.CRITICAL
    max_rate: float = 0.0
    grace: timedelta = timedelta(minutes=1)

    kind: ClassVar[MonitorKind] = MonitorKind.CONSISTENCY

    @property
    def grace_us(self) -> int:
        """How long before a request an event must have been recorded to be missed in it."""
        return microseconds(self.grace)

    def _check_own(self, check: Checker) -> None:
        super()._check_own(check)
        check.share("max_rate", self.max_rate, zero=True)
        check.duration("grace", self.grace, zero=True)


@dataclass(frozen=True, kw_only=True)
class Freshness(Sampled):
    """Had the rows that requests read applied what was recorded longer ago than their view's objective?

    Attributes:
        target: A view breaches when less than this share of its samples met the objective that the view
            declares as `freshness`; views without one are reported, not judged.
    """

    target: float = 0.99

    kind: ClassVar[MonitorKind] = MonitorKind.FRESHNESS

    def _check_own(self, check: Checker) -> None:
        super()._check_own(check)
        check.share("target", self.target)


StoreMonitor = Consistency | Freshness


def with_defaults(
    monitors: Iterable[Monitor], models: Iterable[str], with_objectives: Iterable[str]
) -> Sequence[Monitor]:
    """Add what is watched of every model unless its project says otherwise.

    Args:
        monitors: Declared ones.
        models: All models.
        with_objectives: Those of which a view declares how fresh it is to be.
    """
    found = list(monitors)
    declared = {(one.model, one.kind) for one in found}
    added: list[Monitor] = [
        Consistency("consistency", model=model)
        for model in models
        if (model, MonitorKind.CONSISTENCY) not in declared
    ]
    added += [
        Freshness("freshness", model=model)
        for model in with_objectives
        if (model, MonitorKind.FRESHNESS) not in declared
    ]
    return [*found, *added]
