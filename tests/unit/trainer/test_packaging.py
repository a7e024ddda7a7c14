"""A package computes what was trained, and the same inputs give the same package."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from feature_store import Opaque, Status, feature_value
from model_package import MemoryPackageStore, Package, Scorer, prove_served
from sklearn.ensemble import HistGradientBoostingClassifier
from tidemark.registry.v1.model_pb2 import ModelRegistered
from trainer.adapters.memory import SilentSteps
from trainer.adapters.onnx import convert
from trainer.adapters.wire import Registrant, model_registered
from trainer.domain.errors import ParityBroken
from trainer.domain.gates import GateResult
from trainer.fitting import fit
from trainer.judging import Evidence
from trainer.ports import Provenance
from trainer.steps import Training, keep, train
from training_sets import build
from training_sets.memory import MemoryEvents

MakeLake = Callable[..., MemoryEvents]
MakeTraining = Callable[..., Training]


def trained(training: Training, lake: MemoryEvents) -> Package:
    return train(training, lake, MemoryPackageStore(), SilentSteps()).package


def test_a_training_ends_in_a_package_that_scores_as_it_was_trained(
    make_lake: MakeLake, make_training: MakeTraining
) -> None:
    training, lake = make_training(), make_lake()
    package = trained(training, lake)
    dataset = build(training.project, training.spec, training.period, lake)
    fitted = fit(dataset, training.algorithm, training.spec)
    assert np.abs(Scorer(package).score(dataset.vectors.values) - fitted.scores).max() < 1e-6
    assert package.version == f"trees-{package.digest[:12]}"
    assert len(package.golden.vectors) == 32
    assert package.background is not None
    trained_on = {row.tobytes() for row in dataset.vectors.values}
    assert len(package.background.vectors) == 100
    assert all(row.tobytes() in trained_on for row in package.background.vectors)
    assert package.manifest.dataset_snapshot == dataset.snapshot()
    assert package.manifest.dataset == dataset.describe()
    assert package.manifest.metrics == fitted.metrics
    assert package.manifest.training_rows == 400
    assert package.manifest.contract_hash == training.project.contract("shop-purchase").hash.hex()
    assert [feature["name"] for feature in package.reference_profile["features"]] == list(
        package.manifest.feature_names
    )


@pytest.mark.parametrize("algorithm", ["trees", "logistic"])
def test_the_same_inputs_give_the_same_digest(
    make_lake: MakeLake, make_training: MakeTraining, algorithm: str
) -> None:
    first = trained(make_training(algorithm), make_lake())
    again = trained(make_training(algorithm), make_lake())
    assert first.digest == again.digest
    assert first.files == again.files


def test_any_other_input_gives_another_digest(make_lake: MakeLake, make_training: MakeTraining) -> None:
    plain = make_training()
    commit = replace(plain, provenance=Provenance("d" * 40, plain.provenance.environment_lock))
    lock = replace(plain, provenance=Provenance(plain.provenance.code_commit, "f" * 64))
    digests = [
        trained(plain, make_lake()).digest,
        trained(make_training(seed=8), make_lake()).digest,
        trained(make_training("logistic"), make_lake()).digest,
        trained(commit, make_lake()).digest,
        trained(lock, make_lake()).digest,
        trained(plain, make_lake(version=2)).digest,
    ]
    assert len(set(digests)) == len(digests)


def test_the_steps_are_announced(make_lake: MakeLake, make_training: MakeTraining) -> None:
    steps = SilentSteps()
    train(make_training(), make_lake(), MemoryPackageStore(), steps)
    assert steps.heard[1] == "fitting trees on 400 rows"


def test_a_package_that_scores_otherwise_is_not_kept(
    make_lake: MakeLake, make_training: MakeTraining
) -> None:
    training, packages = make_training(), MemoryPackageStore()
    dataset = build(training.project, training.spec, training.period, make_lake())
    fitted = fit(dataset, training.algorithm, training.spec)
    wrong = fitted.answers.copy()
    row = int(np.argsort(wrong)[200])
    wrong[row] += 1e-4
    with pytest.raises(ParityBroken, match=rf"training row {row} scores"):
        keep(training, dataset, replace(fitted, answers=wrong), packages)
    assert packages._packages == {}


def probabilities(graph: bytes, values: Any) -> Any:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {session.get_inputs()[0].name: values})
    return found[:, 1]


def test_values_next_to_a_threshold_take_the_branch_they_took_in_training() -> None:
    """Rounded to float32, a threshold between neighbouring floats becomes one of them."""
    generator = np.random.default_rng(0)
    steps = generator.integers(0, 40, 4000).astype(np.float32) / 7
    values = np.where(generator.random(4000) < 0.5, steps, np.nextafter(steps, np.float32(99)))[:, None]
    labels = (values[:, 0] > steps).astype(int)
    model = HistGradientBoostingClassifier(max_iter=10, random_state=0).fit(values, labels)
    found = probabilities(convert(model, 1), values)
    assert np.abs(found - model.predict_proba(values)[:, 1]).max() < 1e-6


def test_conversion_leaves_the_model_as_it_was() -> None:
    values = np.random.default_rng(0).random((200, 2), np.float32)
    model = HistGradientBoostingClassifier(max_iter=5).fit(values, values[:, 0] > 0.5)
    before = [tree.nodes.copy() for trees in model._predictors for tree in trees]
    convert(model, 2)
    after = [tree.nodes for trees in model._predictors for tree in trees]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_the_registration_is_a_function_of_the_package(
    make_lake: MakeLake, make_training: MakeTraining
) -> None:
    package = trained(make_training(), make_lake())
    evidence = Evidence((GateResult("latency", passed=True, reason="fast", value=1.0),), ())
    registrant = Registrant("ada", "team-shop", "high", "r1")
    event = model_registered(package, evidence, registrant)
    message = ModelRegistered.FromString(event.data)
    assert event == model_registered(package, evidence, registrant)
    assert (message.registered_by, message.owner, message.risk) == ("ada", "team-shop", "high")
    assert (message.retrain_request_id, message.algorithm) == ("r1", "trees")
    assert [(gate.gate, gate.passed, gate.HasField("threshold")) for gate in message.gates] == [
        ("latency", True, False)
    ]
    assert event.id == message.digest == package.digest
    assert event.key == b"shop-purchase"
    assert message.version == package.version
    assert message.package_uri == package.uri
    assert message.dataset_snapshot == package.manifest.dataset_snapshot
    assert message.metrics["holdout_rows"] == package.manifest.metrics["holdout_rows"]
    assert event.time_us == package.manifest.trained_until_us
    assert json.loads(package.files["manifest.json"])["seed"] == 7


def test_a_package_carries_the_graph_from_readings_to_score(
    make_lake: MakeLake, make_training: MakeTraining
) -> None:
    for algorithm in ("trees", "logistic"):
        package = trained(make_training(algorithm), make_lake())
        assert package.served is not None
        golden = package.served.golden
        assert golden.is_exact
        assert set(np.unique(golden.statuses)) >= {Status.PRESENT, Status.MISSING}
        found = prove_served(package)
        assert found is not None
        assert found.tolist() == golden.scores.tolist() == Scorer(package).score(golden.values).tolist()


def test_a_feature_without_a_form_in_onnx_leaves_the_graph_out_and_says_so(
    make_lake: MakeLake, make_training: MakeTraining, shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    opaque = Opaque("parity", lambda x: x % 2, {"x": feature_value(shop.CustomerPurchases.purchases_1d)})
    training = make_training()
    spec = replace(training.spec, features=[*training.spec.features, opaque])
    project = replace(training.project, models={spec.name: spec})
    package = trained(replace(training, project=project, spec=spec), make_lake())
    assert package.served is None
    assert "'parity' stands in the way" in caplog.text
