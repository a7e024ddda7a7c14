"""What recomputing a window's sample came to, and what monitors of the store say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, assert_never

import numpy as np
from monitoring.served import Consistency, Freshness

from drift_detector.domain.figures import Assessment, Figure, Findings, ranked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feature_store.offline import Differences
    from monitoring.served import StoreMonitor
    from numpy.typing import NDArray

_SECOND_US: Final = 1_000_000
_NAMED: Final = 3


@dataclass(slots=True)
class Tally:
    """What a window's sample of one version came to.

    Attributes:
        features: Their full names, in the contract's order.
        answered: Requests the version answered in the window, sampled or not.
        compared: Vectors that were recomputed.
        unjudged: Sampled vectors that could not be: of another contract, or of positions no topic has.
        differing: Vectors with any difference.
        mismatched: By feature, int64[F]; likewise `missing` and `extra`, as in `offline.Differences`.
        gaps_us: By view, how far behind each row was, int64[compared].
    """

    features: Sequence[str]
    answered: int = 0
    compared: int = 0
    unjudged: int = 0
    differing: int = 0
    mismatched: NDArray[np.int64] = field(init=False)
    missing: NDArray[np.int64] = field(init=False)
    extra: NDArray[np.int64] = field(init=False)
    gaps_us: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mismatched, self.missing, self.extra = np.zeros((3, len(self.features)), np.int64)

    def add(
        self, found: Differences, gaps_us: Mapping[str, NDArray[np.int64]], rows: NDArray[np.bool_]
    ) -> None:
        """Take in the vectors at these rows of a batch."""
        self.compared += int(rows.sum())
        self.differing += int((found.mismatched | found.missing | found.extra)[rows].any(axis=1).sum())
        self.mismatched += found.mismatched[rows].sum(axis=0)
        self.missing += found.missing[rows].sum(axis=0)
        self.extra += found.extra[rows].sum(axis=0)
        for view, gap_us in gaps_us.items():
            known = self.gaps_us.get(view, np.empty(0, np.int64))
            self.gaps_us[view] = np.append(known, gap_us[rows])

    @property
    def kinds(self) -> Mapping[str, NDArray[np.int64]]:
        """Counts by feature, by what is wrong."""
        return {"mismatch": self.mismatched, "missing": self.missing, "extra": self.extra}


def judge(monitor: StoreMonitor, tally: Tally, objectives_us: Mapping[str, int]) -> Findings:
    """Say what a monitor finds; what cannot be judged is said to be so, with the reason.

    Args:
        monitor: Which rates and objectives to hold it to.
        tally: Of one version in one window.
        objectives_us: By view, how fresh it is to be; views that declare nothing are left out.
    """
    if not tally.compared:
        return _nothing_compared(tally)
    match monitor:
        case Consistency():
            return _consistency(monitor, tally)
        case Freshness():
            return _freshness(monitor, tally, objectives_us)
        case _:
            assert_never(monitor)


def in_order(found: Mapping[str, Findings]) -> list[tuple[str, Findings]]:
    """Order one window's findings, by version, as alerts must meet them: a breach before anything clear.

    Of readings of one window an alert follows the first that is conclusive.
    """
    return sorted(
        found.items(), key=lambda one: (one[1].assessment is not Assessment.BREACHED, -one[1].rows, one[0])
    )


def _nothing_compared(tally: Tally) -> Findings:
    if tally.unjudged:
        reason = (
            f"All {tally.unjudged:,} sampled vectors are of another feature contract than the project's, or "
            "of positions that no topic has: nothing of here can recompute them."
        )
        return Findings(Assessment.NO_REFERENCE, clear=False, figures=(), reason=reason, rows=tally.answered)
    reason = f"None of {tally.answered:,} requests is in the sample."
    return Findings(Assessment.INSUFFICIENT, clear=False, figures=(), reason=reason, rows=tally.answered)


def _consistency(monitor: Consistency, tally: Tally) -> Findings:
    figures = [
        _rate(monitor, tally, name, f"{kind}_rate", int(count))
        for kind, counts in tally.kinds.items()
        for name, count in zip(tally.features, counts, strict=True)
        if count
    ]
    breached = any(one.assessment is Assessment.BREACHED for one in figures)
    clear = all(one.clear for one in figures)
    enough = tally.compared >= monitor.minimum_rows
    assessment = Assessment.BREACHED if breached else Assessment.OK if enough else Assessment.INSUFFICIENT
    return Findings(
        assessment,
        clear=clear and enough,
        figures=(*ranked(figures), *_overall(tally), *_lags(tally)),
        reason=_consistency_reason(monitor, tally, ranked(figures)),
        rows=tally.answered,
    )


def _rate(monitor: Consistency, tally: Tally, feature: str, statistic: str, count: int) -> Figure:
    rate = count / tally.compared
    # Where none is allowed one is a defect; where some are, a few rows say nothing of a rate.
    judged = not monitor.max_rate or tally.compared >= monitor.minimum_rows
    beyond = rate > monitor.max_rate
    return Figure(
        feature,
        statistic,
        rate,
        Assessment.INSUFFICIENT if not judged else Assessment.BREACHED if beyond else Assessment.OK,
        tally.compared,
        threshold=monitor.max_rate,
        clear=rate <= monitor.clear_at * monitor.max_rate,
        weight=rate / monitor.max_rate if monitor.max_rate else 1 + rate,
    )


def _overall(tally: Tally) -> list[Figure]:
    """Report all features together; one without a figure of its own has no difference."""
    found = [
        Figure(
            "",
            f"{kind}_rate",
            int(counts.sum()) / (tally.compared * max(len(tally.features), 1)),
            Assessment.OK,
            tally.compared,
        )
        for kind, counts in tally.kinds.items()
    ]
    sampled = tally.compared + tally.unjudged
    return [*found, Figure("", "unjudged_rate", tally.unjudged / sampled, Assessment.OK, sampled)]


def _lags(tally: Tally) -> list[Figure]:
    """How far behind the rows were: late data is no defect, and told apart."""
    gaps_us = np.max([*tally.gaps_us.values(), np.zeros(tally.compared, np.int64)], axis=0)
    return _percentiles("", gaps_us)


def _percentiles(subject: str, gaps_us: NDArray[np.int64]) -> list[Figure]:
    # An order statistic, not an interpolation: a lag that was.
    ordered, n = np.sort(gaps_us), len(gaps_us)
    places = {"p50": (n - 1) // 2, "p99": (99 * n - 1) // 100, "max": n - 1}
    return [
        Figure(subject, f"gap_{name}_seconds", int(ordered[at]) / _SECOND_US, Assessment.OK, n)
        for name, at in places.items()
    ]


def _consistency_reason(monitor: Consistency, tally: Tally, figures: Sequence[Figure]) -> str:
    compared = f"{tally.compared:,} of {tally.answered:,} requests recomputed"
    unjudged = f", {tally.unjudged:,} could not be" if tally.unjudged else ""
    if not figures:
        enough = tally.compared >= monitor.minimum_rows
        few = "" if enough else f"; fewer than {monitor.minimum_rows:,} say nothing of the rest"
        return f"{compared}{unjudged}: every feature is the same, bit for bit{few}."
    named = ", ".join(
        f"{one.subject} {one.statistic.replace('_', ' ')} {one.value or 0:.3g}" for one in figures[:_NAMED]
    )
    more = f" and {len(figures) - _NAMED} more" if len(figures) > _NAMED else ""
    return f"{compared}{unjudged}: {tally.differing:,} differ ({named}{more})."


def _freshness(monitor: Freshness, tally: Tally, objectives_us: Mapping[str, int]) -> Findings:
    figures: list[Figure] = []
    for view, gaps_us in tally.gaps_us.items():
        if view in objectives_us:
            figures.append(_fresh_share(monitor, view, gaps_us, objectives_us[view]))
    lags = [one for view, gaps_us in tally.gaps_us.items() for one in _percentiles(view, gaps_us)]
    assessments = {one.assessment for one in figures}
    if not figures:
        reason = "No view that the model reads declares how fresh it is to be."
        return Findings(
            Assessment.NO_REFERENCE, clear=False, figures=tuple(lags), reason=reason, rows=tally.answered
        )
    worst = next(
        one for one in (Assessment.BREACHED, Assessment.INSUFFICIENT, Assessment.OK) if one in assessments
    )
    return Findings(
        worst,
        clear=all(one.clear for one in figures),
        figures=(*ranked(figures), *lags),
        reason=_freshness_reason(figures, tally),
        rows=tally.answered,
    )


def _fresh_share(monitor: Freshness, view: str, gaps_us: NDArray[np.int64], objective_us: int) -> Figure:
    rows = len(gaps_us)
    stale = int((gaps_us > objective_us).sum()) / rows
    allowed = 1 - monitor.target
    beyond = 1 - stale < monitor.target
    enough = rows >= monitor.minimum_rows
    return Figure(
        view,
        "fresh_share",
        1 - stale,
        Assessment.INSUFFICIENT if not enough else Assessment.BREACHED if beyond else Assessment.OK,
        rows,
        threshold=monitor.target,
        clear=stale <= monitor.clear_at * allowed,
        weight=stale / allowed if allowed else 1 + stale,
    )


def _freshness_reason(figures: Sequence[Figure], tally: Tally) -> str:
    told = ", ".join(
        f"{one.subject} {one.value or 0:.4g} of reads (target {one.threshold:g})"
        for one in ranked(list(figures))[:_NAMED]
    )
    return f"Within their objective were {told}, on {tally.compared:,} of {tally.answered:,} requests."
