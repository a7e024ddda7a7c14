"""Which version is better, and how sure we are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from monitoring import confidence_sequence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitoring import ConfidenceSequence, Differences


class Verdict(Enum):
    """What is concluded about the challenger."""

    BETTER = auto()
    WORSE = auto()
    EQUIVALENT = auto()
    INSUFFICIENT = auto()


@dataclass(frozen=True, slots=True)
class VerdictPolicy:
    """When a verdict is given.

    Attributes:
        alpha: The chance, over all looks together, of finding a difference that is not there.
        least_pairs: Labelled pairs without which nothing is concluded.
        least_windows: Windows without which nothing is concluded: the interval rests on how much windows
            differ.
        margin_nats: A mean difference of log loss within this either way does not matter.
        tightest_at_pairs: The number of pairs at which the interval is as narrow as it can be.
    """

    alpha: float = 0.05
    least_pairs: int = 1_000
    least_windows: int = 14
    margin_nats: float = 0.005
    tightest_at_pairs: int = 20_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and one sentence with the numbers behind it."""

    verdict: Verdict
    reason: str


def judge(evidence: Sequence[Differences], policy: VerdictPolicy) -> Judgement:
    """Judge a challenger by its log loss less the champion's, over matured windows.

    It may be asked as often as one likes: looking costs no false verdicts.
    """
    look = confidence_sequence(evidence, alpha=policy.alpha, tightest_at_pairs=policy.tightest_at_pairs)
    missing = _missing(look, policy)
    if missing or look is None:
        return Judgement(Verdict.INSUFFICIENT, missing)
    return Judgement(*_conclude(look, policy))


def _missing(look: ConfidenceSequence | None, policy: VerdictPolicy) -> str:
    if look is None:
        return "No labelled pair in a matured window yet."
    if look.pairs < policy.least_pairs:
        return f"{look.pairs:,} labelled pairs in matured windows; a verdict takes {policy.least_pairs:,}."
    if look.groups < policy.least_windows:
        return f"{look.groups} matured windows; a verdict takes {policy.least_windows}."
    return ""


def _conclude(look: ConfidenceSequence, policy: VerdictPolicy) -> tuple[Verdict, str]:
    numbers = (
        f"its log loss less the champion's is {look.mean:+.4f} nats, {1 - policy.alpha:.0%} interval "
        f"over all looks {look.lower:+.4f} to {look.upper:+.4f} ({look.pairs:,} pairs, {look.groups} windows)"
    )
    margin = policy.margin_nats
    if -margin < look.lower and look.upper < margin:
        return Verdict.EQUIVALENT, f"The difference is within {margin:g} nats: {numbers}."
    if look.upper < 0:
        return Verdict.BETTER, f"The challenger is better: {numbers}."
    if look.lower > 0:
        return Verdict.WORSE, f"The challenger is worse: {numbers}."
    return Verdict.INSUFFICIENT, f"Either may be better: {numbers}."
