from __future__ import annotations

import numpy as np
import pytest
from monitoring import Differences
from shadow_comparator.domain.maturing import Stage
from shadow_comparator.domain.revisions import evidence_up_to
from shadow_comparator.domain.verdicts import Verdict, VerdictPolicy, judge
from shadow_comparator.domain.windows import Window

_POLICY = VerdictPolicy()


def _days(
    mean: float, *, days: int = 30, pairs: int = 900, seed: int = 4, deviation: float = 0.3
) -> list[Differences]:
    generator = np.random.default_rng(seed)
    return [Differences.of(generator.normal(mean, deviation, pairs)) for _ in range(days)]


@pytest.mark.parametrize(
    ("mean", "verdict"),
    [(-0.05, Verdict.BETTER), (0.05, Verdict.WORSE), (0.012, Verdict.INSUFFICIENT)],
)
def test_the_verdict_follows_the_interval(mean: float, verdict: Verdict) -> None:
    assert judge(_days(mean, days=14, pairs=300), _POLICY).verdict is verdict


def test_a_difference_within_the_margin_is_equivalence_whichever_side_it_is_on() -> None:
    for mean in (-0.001, 0.0, 0.001):
        assert judge(_days(mean, deviation=0.02), _POLICY).verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        ([], "No labelled pair in a matured window yet."),
        ([Differences(0, 0.0, 0.0)] * 30, "No labelled pair in a matured window yet."),
        (_days(-5.0, days=30, pairs=33), "990 labelled pairs in matured windows; a verdict takes 1,000."),
        (_days(-5.0, days=13), "13 matured windows; a verdict takes 14."),
        (_days(-5.0, days=1, pairs=100_000), "1 matured windows; a verdict takes 14."),
    ],
)
def test_too_little_is_insufficient_however_large_the_difference(
    evidence: list[Differences], reason: str
) -> None:
    judgement = judge(evidence, _POLICY)
    assert (judgement.verdict, judgement.reason) == (Verdict.INSUFFICIENT, reason)


def test_the_reason_is_one_sentence_with_the_numbers() -> None:
    constant = [Differences.of([0.1, 0.3] * 40)] * 20
    judgement = judge(constant, _POLICY)
    assert judgement.reason.startswith(
        "The challenger is worse: its log loss less the champion's is +0.2000 nats"
    )
    assert "95% interval over all looks" in judgement.reason
    assert judgement.reason.endswith("(1,600 pairs, 20 windows).")


def test_looking_every_day_calls_equal_versions_unequal_at_most_as_often_as_promised() -> None:
    """The whole rule, floors included, on versions whose daily fortunes differ but which are equal."""
    generator = np.random.default_rng(11)
    wrong = 0
    for _ in range(200):
        moods = generator.normal(0, 0.05, (45, 1))
        days = [Differences.of(day) for day in generator.normal(0, 0.3, (45, 200)) + moods]
        verdicts = {judge(days[:day], _POLICY).verdict for day in range(1, 46)}
        wrong += bool(verdicts & {Verdict.BETTER, Verdict.WORSE})
    assert wrong / 200 <= _POLICY.alpha


def test_evidence_is_of_matured_windows_up_to_the_one_judged() -> None:
    day = [Differences.of([float(number)]) for number in range(5)]
    others = {0: day[0], 10: day[1], 20: day[2], 30: day[3]}
    assert evidence_up_to(Window("m", 20), Stage.COVERED, day[4], others) == [day[0], day[1], day[4]]
    assert evidence_up_to(Window("m", 20), Stage.CLOSED, day[4], others) == [day[0], day[1]]
