"""Which version is better, and how sure we are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

from monitoring import Estimate, confidence_sequence

from shadow_comparator.domain.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitoring import ConfidenceSequence, Differences


class Verdict(Enum):
    """What is concluded about the challenger."""

    BETTER = auto()
    WORSE = auto()
    EQUIVALENT = auto()
    INSUFFICIENT = auto()
    UNDEFINED = auto()


class Loss(NamedTuple):
    """What versions of a task are judged by.

    Attributes:
        name: In events.
        words: In sentences.
        unit: Of differences, where there is one.
    """

    name: str
    words: str
    unit: str = ""


_LOG_LOSS: Final = Loss("log_loss", "log loss", " nats")
_LOSSES: Final = {
    Task.BINARY: _LOG_LOSS,
    Task.MULTICLASS: _LOG_LOSS,
    Task.REGRESSION: Loss("squared_error", "squared error"),
}


@dataclass(frozen=True, slots=True)
class VerdictPolicy:
    """When a verdict is given.

    Attributes:
        alpha: The chance, over all looks together, of finding a difference that is not there.
        least_pairs: Labelled pairs without which nothing is concluded.
        least_windows: Windows without which nothing is concluded: the interval rests on how much windows
            differ.
        margin_nats: A mean difference of log loss within this either way does not matter.
        margin_share: Nor does one of squared error within this share of the champion's.
        tightest_at_pairs: The number of pairs at which the interval is as narrow as it can be.
    """

    alpha: float = 0.05
    least_pairs: int = 1_000
    least_windows: int = 14
    margin_nats: float = 0.005
    margin_share: float = 0.01
    tightest_at_pairs: int = 20_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and one sentence with the numbers behind it.

    Attributes:
        loss: What it is about; empty where nothing is.
        evidence: Its mean difference, with the interval at all looks together.
    """

    verdict: Verdict
    reason: str
    loss: str = ""
    evidence: Estimate | None = None


def judge(evidence: Sequence[Differences], policy: VerdictPolicy, task: Task = Task.BINARY) -> Judgement:
    """Judge a challenger by its loss less the champion's, over matured windows.

    It may be asked as often as one likes: looking costs no false verdicts.
    """
    loss = _LOSSES.get(task)
    if loss is None:
        return Judgement(
            Verdict.UNDEFINED,
            f"No outcome says which of two versions of task {task.name.lower()} is better: look at how alike "
            "they answer, and decide.",
        )
    look = confidence_sequence(evidence, alpha=policy.alpha, tightest_at_pairs=policy.tightest_at_pairs)
    missing = _missing(look, policy)
    if missing or look is None:
        return Judgement(Verdict.INSUFFICIENT, missing, loss.name, _estimate(look))
    return Judgement(*_conclude(look, policy, loss), loss.name, _estimate(look))


def _missing(look: ConfidenceSequence | None, policy: VerdictPolicy) -> str:
    if look is None:
        return "No labelled pair in a matured window yet."
    if look.pairs < policy.least_pairs:
        return f"{look.pairs:,} labelled pairs in matured windows; a verdict takes {policy.least_pairs:,}."
    if look.groups < policy.least_windows:
        return f"{look.groups} matured windows; a verdict takes {policy.least_windows}."
    return ""


def _estimate(look: ConfidenceSequence | None) -> Estimate | None:
    if look is None or not math.isfinite(look.half_width):
        return None if look is None else Estimate(look.mean)
    return Estimate(look.mean, look.lower, look.upper)


def _conclude(look: ConfidenceSequence, policy: VerdictPolicy, loss: Loss) -> tuple[Verdict, str]:
    margin, within = _margin(look, policy, loss)
    figure = "+.4f" if loss is _LOG_LOSS else "+.4g"
    numbers = (
        f"its {loss.words} less the champion's is {look.mean:{figure}}{loss.unit}, {1 - policy.alpha:.0%} "
        f"interval over all looks {look.lower:{figure}} to {look.upper:{figure}} ({look.pairs:,} pairs, "
        f"{look.groups} windows)"
    )
    if -margin < look.lower and look.upper < margin:
        return Verdict.EQUIVALENT, f"The difference is within {within}: {numbers}."
    if look.upper < 0:
        return Verdict.BETTER, f"The challenger is better: {numbers}."
    if look.lower > 0:
        return Verdict.WORSE, f"The challenger is worse: {numbers}."
    return Verdict.INSUFFICIENT, f"Either may be better: {numbers}."


def _margin(look: ConfidenceSequence, policy: VerdictPolicy, loss: Loss) -> tuple[float, str]:
    """Return what does not matter, and in words: an error's unit is the label's, so it is a share of it."""
    if loss is _LOG_LOSS:
        return policy.margin_nats, f"{policy.margin_nats:g} nats"
    share = f"{policy.margin_share * 100:g} % of the champion's {look.before:.4g}"
    return policy.margin_share * look.before, share
