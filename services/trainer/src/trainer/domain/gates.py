"""Gates: what a version must pass before somebody may approve it. Pure: figures in, results out."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainer.domain.measures import Answers, BinaryMeasures, Measures

GOLDEN_ROWS: Final = "golden-rows"
PACKAGE_CONTRACT: Final = "package-contract"
CHAMPION_METRIC: Final = "champion-metric"
LATENCY: Final = "latency"
_TWO_CLASSES: Final = BinaryMeasures(0.5)


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate found; `reason` is one sentence with the numbers."""

    gate: str
    passed: bool
    reason: str
    value: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class GateRules:
    """What the gates demand.

    Attributes:
        worse_share: By what share the loss may be above the champion's.
        latency_ms: What the median of scoring one vector may take.
        least_rows: Held-out requests without which the champion is not compared with.
    """

    worse_share: float = 0.01
    latency_ms: float = 10.0
    least_rows: int = 100


def against_champion(
    champion: str,
    labels: NDArray[np.float64],
    answers: Answers,
    champion_answers: Answers,
    rules: GateRules,
    measures: Measures = _TWO_CLASSES,
) -> GateResult:
    """Hold the version to the champion, on requests that neither had learned from.

    Too few of them is no pass: the gate fails and says so.
    """
    if len(labels) < rules.least_rows:
        reason = (
            f"only {len(labels)} held-out requests are later than what {champion} was trained on; "
            f"a comparison takes {rules.least_rows}"
        )
        return GateResult(CHAMPION_METRIC, passed=False, reason=reason)
    ours, theirs = measures.loss(labels, answers), measures.loss(labels, champion_answers)
    assert ours is not None
    assert theirs is not None, "there are rows"
    threshold = theirs * (1 + rules.worse_share)
    reason = (
        f"{measures.loss_name} {ours:.4f} on {len(labels):,} held-out requests, {champion} {theirs:.4f} on "
        f"the same; at most {threshold:.4f} passes"
    )
    return GateResult(CHAMPION_METRIC, ours <= threshold, reason, ours, threshold)


def against_base_rate(
    labels: NDArray[np.float64], answers: Answers, measures: Measures = _TWO_CLASSES
) -> GateResult:
    """Hold the first version to somebody who knows only how the labels are distributed, exactly."""
    ours = measures.loss(labels, answers)
    threshold = measures.loss(labels, measures.baseline(labels))
    assert ours is not None
    assert threshold is not None, "there are rows"
    reason = (
        f"there is no champion to compare with; {measures.loss_name} {ours:.4f} on {len(labels):,} held-out "
        f"requests, {measures.knows_nothing} {threshold:.4f}"
    )
    return GateResult(CHAMPION_METRIC, ours < threshold, reason, ours, threshold)


def within_latency(median_ms: float, rules: GateRules) -> GateResult:
    """Hold the version to the time that scoring one vector may take."""
    reason = (
        f"scoring one vector takes {median_ms:.3f} ms at the median, {rules.latency_ms:g} ms may be taken"
    )
    return GateResult(LATENCY, median_ms <= rules.latency_ms, reason, median_ms, rules.latency_ms)
