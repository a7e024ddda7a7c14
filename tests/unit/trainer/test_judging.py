"""Gates and evaluations: what passes, what fails, and that nothing passes for want of data."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from feature_store import Requests
from model_package import MemoryPackageStore
from sklearn import metrics
from trainer.adapters.memory import SilentSteps
from trainer.domain.evaluation import evaluate_parts
from trainer.domain.gates import GateRules, against_base_rate, against_champion
from trainer.domain.measures import BinaryMeasures
from trainer.fitting import fit
from trainer.judging import Champion, Evidence, judge
from trainer.steps import Trained, Training, train
from training_sets.examples import LabelledRequests
from training_sets.memory import MemoryEvents

MakeLake = Callable[..., MemoryEvents]
MakeTraining = Callable[..., Training]
DAY_US = 86_400_000_000
GENERATOR = np.random.default_rng(5)
TRUTH = GENERATOR.random(4_000)
LABELS = (GENERATOR.random(4_000) < TRUTH).astype(np.float64)
SHUFFLED = GENERATOR.permutation(TRUTH)


def test_a_version_that_learned_nothing_fails_against_the_base_rate() -> None:
    assert against_base_rate(LABELS, TRUTH).passed
    refused = against_base_rate(LABELS, SHUFFLED)
    assert not refused.passed
    assert "the base rate alone" in refused.reason


def test_a_version_may_be_worse_than_the_champion_by_the_declared_share_only() -> None:
    slightly = np.clip(TRUTH * 0.98 + 0.01, 0, 1)
    assert against_champion("c", LABELS, slightly, TRUTH, GateRules(worse_share=0.02)).passed
    assert not against_champion("c", LABELS, SHUFFLED, TRUTH, GateRules(worse_share=0.02)).passed


def test_too_few_rows_are_no_pass() -> None:
    refused = against_champion("c", LABELS[:99], TRUTH[:99], TRUTH[:99], GateRules())
    assert not refused.passed
    assert refused.reason.startswith("only 99 held-out requests are later than what c was trained on")


def test_parts_are_evaluated_as_scikit_learn_does_and_small_ones_are_left_out() -> None:
    carriers = np.array(["AA", "UA"] * 1_995 + ["XX"] * 10, dtype=object)
    times = np.arange(4_000) * DAY_US // 200
    held_out = LabelledRequests(
        Requests(times, {"carrier": carriers}, {}), np.arange(4_000).astype(object), LABELS, times
    )
    found = {
        (one.scope, one.part): one
        for one in evaluate_parts(held_out, TRUTH, SHUFFLED, slices=["carrier"], measures=BinaryMeasures(0.5))
    }
    assert ("slice", "carrier=XX") not in found
    assert sum(one.rows for (scope, _), one in found.items() if scope == "window") == 4_000
    mine = found["slice", "carrier=AA"]
    rows = carriers == "AA"
    assert mine.rows == 1_995
    assert mine.metrics["roc_auc"] == pytest.approx(metrics.roc_auc_score(LABELS[rows], TRUTH[rows]))
    assert mine.metrics["log_loss"] == pytest.approx(metrics.log_loss(LABELS[rows], TRUTH[rows]))
    assert mine.champion_metrics["log_loss"] == pytest.approx(metrics.log_loss(LABELS[rows], SHUFFLED[rows]))


class Judged:
    """Trains in memory and judges."""

    def __init__(self, make_training: MakeTraining, make_lake: MakeLake) -> None:
        self._make_training = make_training
        self._lake = make_lake()
        self.packages = MemoryPackageStore()

    def trained(self, **given: Any) -> tuple[Training, Trained]:
        training = self._make_training(**given)
        return training, train(training, self._lake, self.packages, SilentSteps())

    def evidence(self, champion: Champion | None, made: tuple[Training, Trained] | None = None) -> Evidence:
        training, trained = made or self.trained()
        return judge(
            training,
            trained.dataset,
            trained.fitted,
            trained.package,
            champion=champion,
            rules=GateRules(least_rows=10),
        )


@pytest.fixture
def judged(make_training: MakeTraining, make_lake: MakeLake) -> Judged:
    return Judged(make_training, make_lake)


def _gate(evidence: Evidence, name: str) -> tuple[bool, str]:
    (found,) = [gate for gate in evidence.gates if gate.gate == name]
    return found.passed, found.reason


def test_the_first_version_passes_all_gates(judged: Judged) -> None:
    evidence = judged.evidence(None, judged.trained(algorithm="logistic"))
    assert [gate.reason for gate in evidence.gates if not gate.passed] == []


def test_a_champion_that_learned_from_the_held_out_rows_is_not_compared_with(judged: Judged) -> None:
    _, champion = judged.trained(algorithm="logistic")
    passed, reason = _gate(judged.evidence(Champion("c", champion.package)), "champion-metric")
    assert not passed
    assert reason.startswith("only 0 held-out requests are later")


def test_an_earlier_champion_is_compared_with_on_the_same_rows(judged: Judged) -> None:
    _, champion = judged.trained(until_us=1_356_998_400_000_000 + 50 * 3_600_000_000)
    evidence = judged.evidence(Champion("earlier", champion.package))
    assert "earlier" in _gate(evidence, "champion-metric")[1]
    assert evidence.evaluations[0].champion_metrics


def test_a_champion_that_cannot_be_opened_fails_the_gate_and_says_why(judged: Judged) -> None:
    passed, reason = _gate(judged.evidence(Champion("c", None, "it is gone")), "champion-metric")
    assert (passed, reason) == (False, "c cannot be compared with: it is gone")


def test_labels_that_were_shuffled_fail(judged: Judged) -> None:
    training, made = judged.trained()
    labelled = made.dataset.labelled
    shuffled = replace(
        made.dataset,
        labelled=replace(labelled, labels=np.random.default_rng(1).permutation(labelled.labels)),
    )
    bad = replace(made, fitted=fit(shuffled, training.algorithm, training.spec))
    assert not _gate(judged.evidence(None, (training, bad)), "champion-metric")[0]
