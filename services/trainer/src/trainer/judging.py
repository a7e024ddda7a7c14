"""Judging a packaged version: evaluated on what its twin had not seen, and held to the gates."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from feature_store import Contract
from model_package import Package, PackageError, Scorer
from numpy.typing import NDArray
from training_sets.datasets import Dataset
from training_sets.examples import LabelledRequests

from trainer.domain.evaluation import Evaluation, evaluate_parts
from trainer.domain.gates import (
    CHAMPION_METRIC,
    GOLDEN_ROWS,
    PACKAGE_CONTRACT,
    GateResult,
    GateRules,
    against_base_rate,
    against_champion,
    within_latency,
)
from trainer.domain.measures import Answers, Measures
from trainer.domain.split import split_by_time
from trainer.fitting import Fitted
from trainer.steps import Training
from trainer.tasks import answers_found, measures_of

_TIMED_SCORINGS: Final = 200


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a version when it is registered."""

    gates: tuple[GateResult, ...]
    evaluations: tuple[Evaluation, ...]


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that serves now.

    Attributes:
        version: Its name.
        package: None where it cannot be opened; `problem` then says why.
    """

    version: str
    package: Package | None
    problem: str = ""


def judge(
    training: Training,
    dataset: Dataset,
    fitted: Fitted,
    package: Package,
    *,
    champion: Champion | None,
    rules: GateRules,
    now_s: Callable[[], float] = time.perf_counter,
) -> Evidence:
    """Evaluate and hold to the gates. It never raises for a bad version: that is what it is to find."""
    contract = training.project.contract(training.spec.name)
    holdout = split_by_time(dataset.labelled).holdout
    held_out, vectors = dataset.labelled.take(holdout), dataset.vectors.values[holdout]
    measures = measures_of(training.spec)
    theirs = None if champion is None else _champion_answers(champion, training, contract, vectors)
    evaluations = evaluate_parts(
        held_out,
        fitted.holdout_answers,
        theirs if isinstance(theirs, np.ndarray) else None,
        slices=training.spec.slices,
        measures=measures,
    )
    metric = _metric_gate(champion, held_out, fitted.holdout_answers, theirs, rules, measures)
    return Evidence((*_of_package(package, contract, rules, now_s), metric), tuple(evaluations))


def _metric_gate(
    champion: Champion | None,
    held_out: LabelledRequests,
    answers: Answers,
    theirs: Answers | str | None,
    rules: GateRules,
    measures: Measures,
) -> GateResult:
    if champion is None or theirs is None:
        return against_base_rate(held_out.labels, answers, measures)
    if isinstance(theirs, str) or champion.package is None:
        return GateResult(CHAMPION_METRIC, passed=False, reason=str(theirs))
    # What the champion has learned from it knows better than any newcomer could.
    unseen = held_out.requests.time_us >= champion.package.manifest.trained_until_us
    return against_champion(
        champion.version, held_out.labels[unseen], answers[unseen], theirs[unseen], rules, measures
    )


def _champion_answers(
    champion: Champion, training: Training, contract: Contract, vectors: NDArray[np.float32]
) -> Answers | str:
    """The champion's answers to the vectors, or why there are none."""
    if champion.package is None:
        return f"{champion.version} cannot be compared with: {champion.problem}"
    if champion.package.manifest.contract_hash != contract.hash.hex():
        return f"{champion.version} reads other features: it cannot score the same vectors"
    declared = champion.package.manifest.signature
    if (declared.task if declared else "binary", declared.classes if declared else ()) != (
        training.spec.task,
        tuple(training.spec.classes),
    ):
        return f"{champion.version} is of another task, or has other classes: it cannot be compared with"
    try:
        return answers_found(Scorer(champion.package), np.ascontiguousarray(vectors))
    except PackageError as error:
        return f"{champion.version} cannot be compared with: {error}"


def _of_package(
    package: Package, contract: Contract, rules: GateRules, now_s: Callable[[], float]
) -> list[GateResult]:
    try:
        scorer = Scorer(package)
        scorer.warm()
    except PackageError as error:
        return [GateResult(GOLDEN_ROWS, passed=False, reason=str(error)), _contract_gate(package, contract)]
    golden = GateResult(
        GOLDEN_ROWS, passed=True, reason=f"{len(package.golden.vectors)} golden rows score as recorded"
    )
    latency = within_latency(_median_ms(scorer, package.golden.vectors, now_s), rules)
    return [golden, _contract_gate(package, contract), latency]


def _contract_gate(package: Package, contract: Contract) -> GateResult:
    found = package.manifest
    same = (found.contract_hash, tuple(found.feature_names)) == (
        contract.hash.hex(),
        tuple(contract.feature_names),
    )
    reason = (
        f"reads the {len(contract.feature_names)} features the project computes now"
        if same
        else f"reads feature contract {found.contract_hash}, the project computes {contract.hash.hex()}"
    )
    return GateResult(PACKAGE_CONTRACT, passed=same, reason=reason)


def _median_ms(scorer: Scorer, vectors: NDArray[np.float32], now_s: Callable[[], float]) -> float:
    took_s = []
    for number in range(_TIMED_SCORINGS):
        row = vectors[number % len(vectors)][np.newaxis]
        started_s = now_s()
        scorer.run(row) if scorer.has_more else scorer.score_list(row)
        took_s.append(now_s() - started_s)
    return float(np.median(took_s)) * 1000
