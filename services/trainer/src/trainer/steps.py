"""A training, step by step: snapshot, fit, package. Each is a function of its inputs and may be repeated."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from feature_store import ModelSpec, Project
from feature_store.definition_document import document_of
from model_package import (
    Background,
    Facts,
    Golden,
    Package,
    PackageError,
    Packages,
    Scorer,
    Served,
    prove_served,
    record_golden,
    write_package,
)
from model_package.store import read_folder
from numpy.typing import NDArray
from training_sets import Dataset, EventLake, Period, build

from trainer.adapters.onnx import convert
from trainer.adapters.work import NoWork
from trainer.domain.errors import ParityBroken
from trainer.domain.golden import sampled_rows, spread_rows
from trainer.domain.profile import reference_profile
from trainer.fitting import Algorithm, Fitted, fit
from trainer.merging import serve
from trainer.ports import Memory, Provenance, Steps
from trainer.tasks import answers_found, signature_of

GOLDEN_ROWS = 32
TOLERANCE = 1e-5
BACKGROUND_ROWS = 100


@dataclass(frozen=True, slots=True)
class Training:
    """What is to be trained, from what, for whom."""

    project: Project
    spec: ModelSpec
    period: Period
    algorithm: Algorithm
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training made, before anything is judged."""

    dataset: Dataset
    fitted: Fitted
    package: Package


def train(
    training: Training, lake: EventLake, packages: Packages, steps: Steps, memory: Memory | None = None
) -> Trained:
    """Train and keep a version; the same inputs give the same package.

    Args:
        training: What is to be trained.
        lake: The events.
        packages: Where the package is put.
        steps: Hears how far it is.
        memory: Lets a training that was killed go on where it was; without one, every step is done.

    Raises:
        TrainingError: the inputs do not allow it; nothing was kept.
        DatasetError: as for `build`.
    """
    memory = memory or NoWork()
    spec = training.spec
    steps.begin("reading the lake and computing features")
    dataset = memory.step(
        "dataset", lambda: build(training.project, spec, training.period, lake).without_positions()
    )
    steps.begin(f"fitting {training.algorithm.name} on {len(dataset):,} rows")
    fitted = memory.step("fitted", lambda: fit(dataset, training.algorithm, spec))
    steps.begin("packaging and verifying")
    uri, digest = memory.step("package", lambda: _place(keep(training, dataset, fitted, packages)))
    return Trained(dataset, fitted, packages.open(uri, digest))


def _place(package: Package) -> tuple[str, str]:
    return package.uri, package.digest


def keep(training: Training, dataset: Dataset, fitted: Fitted, packages: Packages) -> Package:
    """Package a fitted model, check it as it will be served on every row it was trained on, and put it away.

    Raises:
        ParityBroken: the package scores otherwise than scikit-learn, or its merged graph otherwise than its
            two steps; it was not put.
    """
    contract = training.project.contract(training.spec.name)
    names = contract.feature_names
    values = dataset.vectors.values
    rows = spread_rows(fitted.scores, GOLDEN_ROWS)
    background = Background(values[sampled_rows(len(values), BACKGROUND_ROWS, training.algorithm.seed)])
    model, facts = convert(fitted.model, len(names)), facts_of(training, dataset, fitted)
    golden = _golden(model, facts, values[rows], fitted.scores[rows])
    profile = reference_profile(
        names, dataset.vectors, dataset.labelled, fitted.holdout_scores, training.spec.slices
    )
    with tempfile.TemporaryDirectory(prefix="tidemark-package-") as name:
        folder = Path(name)

        def write(served: Served | None) -> Package:
            write_package(
                folder,
                facts=facts,
                model=model,
                golden=golden,
                reference_profile=profile,
                served=served,
                definitions=document_of(contract),
                background=background,
            )
            return read_folder(folder)

        scored = write(None)
        _check_parity(scored, dataset, fitted)
        package = write(serve(scored, contract, dataset.labelled.requests.take(rows)))
        _check_served(package)
        return packages.put(folder)


def facts_of(training: Training, dataset: Dataset, fitted: Fitted) -> Facts:
    """What the manifest says of the version."""
    spec, period = training.spec, training.period
    contract = training.project.contract(spec.name)
    first_us = int(dataset.labelled.requests.time_us.min())
    return Facts(
        model=spec.name,
        algorithm=training.algorithm.name,
        feature_names=contract.feature_names,
        contract_hash=contract.hash.hex(),
        label=spec.label.name,
        decision_threshold=spec.decision_threshold,
        parameters=dict(fitted.parameters),
        seed=training.algorithm.seed,
        dataset_snapshot=dataset.snapshot(),
        dataset=dataset.describe(),
        code_commit=training.provenance.code_commit,
        environment_lock=training.provenance.environment_lock,
        metrics=dict(fitted.metrics),
        trained_from_us=first_us if period.from_us is None else period.from_us,
        trained_until_us=period.until_us,
        training_rows=len(dataset),
        created_at_us=period.until_us,
        signature=signature_of(spec),
    )


def _golden(model: bytes, facts: Facts, vectors: NDArray[np.float32], scores: NDArray[np.float64]) -> Golden:
    """The rows a package proves itself with.

    Where there is a signature they hold every output, as the graph gives it: `_check_parity` then says
    whether that is what scikit-learn answers.

    Raises:
        ParityBroken: the graph cannot answer them.
    """
    if facts.signature is None:
        return Golden(vectors, scores, TOLERANCE)
    try:
        return record_golden(model, facts, vectors, TOLERANCE)
    except PackageError as error:
        raise ParityBroken(f"the model cannot be served as it was packaged: {error}") from error


def _check_parity(package: Package, dataset: Dataset, fitted: Fitted) -> None:
    try:
        scorer = Scorer(package)
        scorer.warm()
        found = answers_found(scorer, np.ascontiguousarray(dataset.vectors.values))
    except PackageError as error:
        raise ParityBroken(f"the model cannot be served as it was packaged: {error}") from error
    # Of values beyond 1 the tolerance is a share, as golden rows have it.
    off = np.abs(found - fitted.answers) / np.maximum(1.0, np.abs(fitted.answers))
    by_row = off.reshape(len(off), -1).max(axis=1)
    worst = int(by_row.argmax())
    if by_row[worst] > TOLERANCE:
        raise ParityBroken(
            f"{package.manifest.algorithm}: training row {worst} scores {_shown(found[worst])} in ONNX and "
            f"{_shown(fitted.answers[worst])} in scikit-learn, tolerance {TOLERANCE:g}: the conversion does "
            "not keep this model; train another kind, or scale its inputs"
        )


def _shown(answer: NDArray[np.float64]) -> str:
    return ", ".join(f"{number:.8f}" for number in np.atleast_1d(answer))


def _check_served(package: Package) -> None:
    """Demand of the merged graph the very scores of the two steps: here, both run in the same runtime."""
    try:
        found = prove_served(package)
    except PackageError as error:
        raise ParityBroken(f"the merged graph cannot be served as it was packaged: {error}") from error
    if package.served is None or found is None or not package.served.golden.is_exact:
        return
    recorded = package.served.golden.scores
    wrong = np.flatnonzero(found != recorded)
    if len(wrong):
        row = int(wrong[0])
        raise ParityBroken(
            f"{package.manifest.algorithm}: golden row {row} scores {found[row]!r} in the merged graph and "
            f"{recorded[row]!r} in two steps: the merging does not keep this model"
        )
