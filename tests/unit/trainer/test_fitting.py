"""A split by time, a fit that repeats itself, and figures that are about what they say."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from feature_store import Requests
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score
from trainer.domain.errors import InvalidPeriod, NotAClassifier, OneClassOnly, UnknownAlgorithm
from trainer.domain.evaluation import evaluate
from trainer.domain.golden import sampled_rows, spread_rows
from trainer.domain.measures import BinaryMeasures
from trainer.domain.split import split_by_time
from trainer.fitting import Algorithm, choose_algorithm, fit, parameters_of
from trainer.steps import Training
from training_sets import build, find_model
from training_sets.errors import UnknownModel
from training_sets.examples import LabelledRequests
from training_sets.memory import MemoryEvents


def labelled(times_us: list[int], known_us: list[int], labels: list[int]) -> LabelledRequests:
    requests = Requests(np.array(times_us, np.int64), {}, {})
    keys = np.array([str(time) for time in times_us], object)
    return LabelledRequests(requests, keys, np.array(labels, float), np.array(known_us, np.int64))


def test_the_last_fifth_of_the_time_is_held_out() -> None:
    times = list(range(0, 101, 10))
    split = split_by_time(labelled(times, [time + 1 for time in times], [0, 1] * 5 + [0]))
    assert split.cut_us == 80
    assert np.flatnonzero(split.holdout).tolist() == [8, 9, 10]
    assert np.flatnonzero(split.training).tolist() == list(range(8))


def test_a_label_that_became_known_in_the_holdout_is_not_learned_from() -> None:
    times = list(range(0, 101, 10))
    split = split_by_time(labelled(times, [time + 25 for time in times], [0, 1] * 5 + [0]))
    assert np.flatnonzero(split.training).tolist() == [0, 1, 2, 3, 4, 5]
    assert not (split.training & split.holdout).any()


def test_nothing_to_learn_from_before_the_holdout_is_said() -> None:
    with pytest.raises(InvalidPeriod, match="of 2 labelled examples none is left"):
        split_by_time(labelled([0, 100], [500, 500], [0, 1]))


def test_one_class_before_the_holdout_is_said() -> None:
    with pytest.raises(OneClassOnly, match="all 2 labels of the part before the holdout are 0"):
        split_by_time(labelled([0, 10, 100], [1, 11, 101], [0, 0, 1]))


def test_metrics_are_scikit_learns() -> None:
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, 500).astype(float)
    scores = np.clip(labels * 0.3 + generator.random(500) * 0.7, 0, 1)
    found = evaluate(labels, scores, measures=BinaryMeasures(0.4))
    assert found == pytest.approx(
        {
            "holdout_roc_auc": roc_auc_score(labels, scores),
            "holdout_log_loss": log_loss(labels, scores),
            "holdout_brier": brier_score_loss(labels, scores),
            "holdout_accuracy": accuracy_score(labels, scores >= 0.4),
            "holdout_base_rate": labels.mean(),
            "holdout_rows": 500,
        }
    )


def test_a_metric_that_is_undefined_is_left_out() -> None:
    assert "holdout_roc_auc" not in evaluate(
        np.ones(3), np.array([0.1, 0.5, 0.9]), measures=BinaryMeasures(0.5)
    )


class Recording:
    """A training function that remembers what it was given."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.seeds: list[int] = []

    def __call__(self, features: NDArray[np.float32], labels: NDArray[np.float64], seed: int) -> Any:
        self.rows.append(len(features))
        self.seeds.append(seed)
        return HistGradientBoostingClassifier(max_iter=5, random_state=seed).fit(features, labels)


def test_the_holdout_is_scored_by_a_model_that_has_not_seen_it_and_the_release_has_seen_all(
    make_lake: Callable[..., MemoryEvents], make_training: Callable[..., Training]
) -> None:
    training, recording = make_training(), Recording()
    dataset = build(training.project, training.spec, training.period, make_lake())
    fitted = fit(dataset, Algorithm("recording", recording, 11), training.spec)
    split = split_by_time(dataset.labelled)
    assert recording.rows == [split.training.sum(), len(dataset)]
    assert recording.seeds == [11, 11]
    assert fitted.metrics["holdout_rows"] == split.holdout.sum() == len(fitted.holdout_scores)
    assert fitted.metrics["holdout_roc_auc"] == pytest.approx(
        roc_auc_score(dataset.labelled.labels[split.holdout], fitted.holdout_scores)
    )
    assert len(fitted.scores) == len(dataset)


@pytest.mark.parametrize(
    "train",
    [
        lambda x, y, seed: LinearRegression().fit(x, y + seed * 0),
        lambda x, y, seed: DummyClassifier().fit(x, (y + 1 + seed * 0).astype(int)),
        lambda x, y, seed: (x, y, seed),
    ],
    ids=["regression", "other classes", "no model"],
)
def test_what_is_no_classifier_is_refused(
    make_lake: Callable[..., MemoryEvents], make_training: Callable[..., Training], train: Any
) -> None:
    training = make_training()
    dataset = build(training.project, training.spec, training.period, make_lake())
    with pytest.raises(NotAClassifier, match="return a fitted scikit-learn classifier"):
        fit(dataset, Algorithm("strange", train, 0), training.spec)


def test_labels_of_one_class_are_refused(
    make_lake: Callable[..., MemoryEvents], make_training: Callable[..., Training]
) -> None:
    training = make_training()
    dataset = build(training.project, training.spec, training.period, make_lake())
    alike = replace(dataset.labelled, labels=np.zeros(len(dataset)))
    with pytest.raises(OneClassOnly, match="all 400 labels of the training set are 0"):
        fit(replace(dataset, labelled=alike), training.algorithm, training.spec)


def test_unknown_names_are_answered_with_those_there_are(make_training: Callable[..., Training]) -> None:
    training = make_training()
    with pytest.raises(UnknownModel, match="no model 'shop'; it has shop-purchase"):
        find_model(training.project, "shop")
    with pytest.raises(UnknownAlgorithm, match="no algorithm 'forest'; it has trees, logistic"):
        choose_algorithm(training.spec, "forest", None)


def test_the_champions_algorithm_and_the_models_seed_are_the_default(
    make_training: Callable[..., Training],
) -> None:
    spec = make_training().spec
    assert choose_algorithm(spec, None, None).name == "trees"
    assert choose_algorithm(spec, None, None).seed == 7
    assert choose_algorithm(spec, "logistic", 3).seed == 3


def test_parameters_are_plain_values(shop: Any) -> None:
    generator = np.random.default_rng(0)
    model = shop.train_logistic(generator.random((20, 2)), np.arange(20) % 2, 5)
    parameters = parameters_of(model)
    assert parameters["logisticregression__random_state"] == 5
    assert parameters["standardscaler"] == "StandardScaler()"


def test_golden_rows_spread_from_the_lowest_to_the_highest_score() -> None:
    scores = np.random.default_rng(0).permutation(1000) / 1000
    rows = spread_rows(scores, 32)
    assert len(set(rows.tolist())) == 32
    assert scores[rows[0]] == 0.0
    assert scores[rows[-1]] == 0.999
    assert (np.diff(scores[rows]) > 0).all()
    assert len(spread_rows(scores[:5], 32)) == 5


def test_sampled_rows_are_each_of_the_set_once_and_the_same_for_the_same_seed() -> None:
    rows = sampled_rows(1_000, 100, seed=7)
    assert len(set(rows.tolist())) == 100
    assert (np.diff(rows) > 0).all()
    assert rows.tolist() == sampled_rows(1_000, 100, seed=7).tolist()
    assert rows.tolist() != sampled_rows(1_000, 100, seed=8).tolist()
    assert sampled_rows(3, 100, seed=7).tolist() == [0, 1, 2]
