"""Models of many classes and regressions: trained, measured, packaged, judged."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from feature_store import ModelSpec
from feature_store.errors import DefinitionError
from model_package import MemoryPackageStore, Scorer, ScoreSource, TensorSpec, prove_served
from sklearn import metrics
from sklearn.linear_model import LinearRegression, LogisticRegression
from trainer.adapters.memory import SilentSteps
from trainer.domain.errors import NoMeasures, NotAClassifier, NotARegressor, ParityBroken
from trainer.domain.gates import GateRules, against_base_rate
from trainer.domain.measures import MulticlassMeasures, RegressionMeasures
from trainer.fitting import Algorithm, fit
from trainer.judging import Champion, judge
from trainer.steps import Trained, Training, keep, train
from training_sets import build
from training_sets.errors import UnfitLabel
from training_sets.memory import MemoryEvents

MakeLake = Callable[..., MemoryEvents]
MakeTraining = Callable[..., Training]


def trained(training: Training, lake: MemoryEvents) -> Trained:
    return train(training, lake, MemoryPackageStore(), SilentSteps())


def test_a_regression_is_packaged_as_one_and_scores_as_it_predicts(
    make_lake: MakeLake, make_training: MakeTraining
) -> None:
    made = trained(make_training(model="shop-spending"), make_lake())
    scorer, values = Scorer(made.package), made.dataset.vectors.values

    assert scorer.signature.task == "regression"
    assert scorer.signature.outputs == (TensorSpec("variable", "FP32", (1,)),)
    assert made.package.manifest.signature.score == ScoreSource(output="variable")
    assert scorer.score(values) == pytest.approx(made.fitted.model.predict(values), rel=1e-6)
    assert made.package.golden.outputs["variable"].shape == (32, 1)
    label = made.package.reference_profile["label"]
    assert label["rate"] is None
    assert label["std"] > 0
    assert made.package.manifest.metrics.keys() == {
        "holdout_rmse", "holdout_mae", "holdout_bias", "holdout_r_squared", "holdout_label_mean",
        "holdout_rows",
    }  # fmt: skip


def test_many_classes_are_packaged_with_their_names_and_probabilities(
    make_lake: MakeLake, make_training: MakeTraining, shop: Any
) -> None:
    made = trained(make_training(model="shop-leaving"), make_lake())
    scorer, values = Scorer(made.package), made.dataset.vectors.values

    found = scorer.run(values)

    assert scorer.signature.classes == shop.WAYS
    assert list(found.named) == ["probabilities"]
    expected = made.fitted.model.predict_proba(values)
    assert np.abs(found.named["probabilities"] - expected).max() < 1e-6
    assert found.scores == pytest.approx(expected.max(axis=1), abs=1e-6)
    assert {"holdout_log_loss", "holdout_accuracy"} < made.package.manifest.metrics.keys()


@pytest.mark.parametrize("model", ["shop-spending", "shop-leaving"])
def test_the_merged_graph_gives_the_scores_of_the_two_steps(
    make_lake: MakeLake, make_training: MakeTraining, model: str
) -> None:
    package = trained(make_training(model=model), make_lake()).package
    found = prove_served(package)
    assert found is not None
    assert package.served is not None
    assert found.tolist() == package.served.golden.scores.tolist()


@pytest.mark.parametrize("model", ["shop-spending", "shop-leaving"])
def test_a_champion_of_the_task_is_compared_with_by_the_tasks_loss(
    make_lake: MakeLake, make_training: MakeTraining, model: str
) -> None:
    training, lake = make_training(model=model), make_lake()
    made = trained(training, lake)
    first = judge(training, made.dataset, made.fitted, made.package, champion=None, rules=GateRules())
    assert [gate.passed for gate in first.gates] == [True] * 4, first.gates

    champion = Champion("c", _trained_before(made))
    again = judge(
        training,
        made.dataset,
        made.fitted,
        made.package,
        champion=champion,
        rules=GateRules(worse_share=9, least_rows=10),
    )
    gate = next(one for one in again.gates if one.gate == "champion-metric")
    assert gate.passed, gate
    assert ("root mean squared error" if model == "shop-spending" else "log loss") in gate.reason
    assert again.evaluations[0].champion_metrics.keys() == again.evaluations[0].metrics.keys()


def _trained_before(made: Trained) -> Any:
    """The same version, as if it had learned from nothing that was held out."""
    earlier = made.package.manifest.model_copy(update={"trained_until_us": 0})
    return replace(made.package, manifest=earlier)


def test_a_champion_of_another_task_cannot_be_compared_with(
    make_lake: MakeLake, make_training: MakeTraining
) -> None:
    lake, training = make_lake(), make_training(model="shop-spending")
    made, other = trained(training, lake), trained(make_training(), lake)
    evidence = judge(
        training,
        made.dataset,
        made.fitted,
        made.package,
        champion=Champion("c", other.package),
        rules=GateRules(),
    )
    gate = next(one for one in evidence.gates if one.gate == "champion-metric")
    assert not gate.passed
    assert "of another task" in gate.reason


def test_the_measures_are_scikit_learns() -> None:
    generator = np.random.default_rng(2)
    truth = generator.normal(100, 20, 300)
    values = truth + generator.normal(0, 5, 300)
    assert RegressionMeasures().metrics(truth, values) == pytest.approx(
        {
            "rmse": metrics.root_mean_squared_error(truth, values),
            "mae": metrics.mean_absolute_error(truth, values),
            "bias": (values - truth).mean(),
            "r_squared": metrics.r2_score(truth, values),
        }
    )
    labels = generator.integers(0, 4, 300).astype(float)
    likely = generator.dirichlet(np.ones(4), 300)
    assert MulticlassMeasures(4).metrics(labels, likely) == pytest.approx(
        {
            "log_loss": metrics.log_loss(labels, likely, labels=range(4)),
            "accuracy": metrics.accuracy_score(labels, likely.argmax(axis=1)),
        }
    )


def test_who_learned_nothing_fails_against_who_knows_the_labels_alone() -> None:
    labels = np.array([0, 0, 1, 2] * 50, float)
    measures = MulticlassMeasures(3)
    assert not against_base_rate(labels, measures.baseline(labels), measures).passed
    assert against_base_rate(labels, np.eye(3)[labels.astype(int)], measures).passed
    assert not against_base_rate(labels, np.full(200, labels.mean()), RegressionMeasures()).passed


def test_a_task_without_measures_is_not_trained(make_lake: MakeLake, make_training: MakeTraining) -> None:
    with pytest.raises(NoMeasures, match="package it with"):
        trained(make_training(model="shop-ranking"), make_lake())


def test_labels_that_are_no_class_are_refused(
    make_training: MakeTraining, make_lake: MakeLake, shop: Any
) -> None:
    facts = shop.world(50)
    facts[shop.visits.topic][3]["left"] = "by helicopter"
    with pytest.raises(UnfitLabel, match="value -1: model 'shop-leaving' has 3 classes"):
        trained(make_training(model="shop-leaving"), make_lake(facts))


@pytest.mark.parametrize(
    ("model", "train_one", "error"),
    [
        ("shop-spending", lambda x, y, _: LogisticRegression().fit(x, y > 500), NotARegressor),
        ("shop-spending", lambda x, y, _: LinearRegression().fit(x, np.stack([y, y], 1)), NotARegressor),
        ("shop-leaving", lambda x, y, _: LogisticRegression().fit(x, y > 1), NotAClassifier),
        ("shop-leaving", lambda x, y, _: LinearRegression().fit(x, y), NotAClassifier),
    ],
)
def test_a_model_of_another_task_is_refused(
    make_lake: MakeLake, make_training: MakeTraining, model: str, train_one: Any, error: type[Exception]
) -> None:
    training = make_training(model=model)
    dataset = build(training.project, training.spec, training.period, make_lake())
    with pytest.raises(error):
        fit(dataset, Algorithm("strange", train_one, 0), training.spec)


def test_a_class_whose_probability_is_otherwise_in_onnx_is_found(
    make_lake: MakeLake, make_training: MakeTraining
) -> None:
    training = make_training("logistic", model="shop-leaving")
    dataset = build(training.project, training.spec, training.period, make_lake())
    fitted = fit(dataset, training.algorithm, training.spec)
    wrong = fitted.answers.copy()
    wrong[17, wrong[17].argmin()] += 1e-3
    with pytest.raises(ParityBroken, match="training row 17 scores"):
        keep(training, dataset, replace(fitted, answers=wrong), MemoryPackageStore())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"task": "guess"}, "task is 'guess'"),
        ({"task": "multiclass"}, "classes are"),
        ({"task": "multiclass", "classes": ("a", "a")}, "classes are"),
        ({"task": "regression", "classes": ("a", "b")}, "has classes"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(shop: Any, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        ModelSpec(
            "m",
            features=shop.features,
            label=shop.spent,
            examples=shop.examples,
            train=shop.train_line,
            **changes,
        )
