"""Models of other tasks than two classes: what is read, joined, compared and told of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bus.positions import TopicPartition
from monitoring import Differences
from scipy import stats
from shadow_comparator.adapters import codec
from shadow_comparator.domain.comparing import Comparison, compare
from shadow_comparator.domain.facts import Role
from shadow_comparator.domain.tasks import ModelRules, Task
from shadow_comparator.domain.verdicts import Verdict, VerdictPolicy, judge
from shadow_comparator.domain.windows import Answer, Contents
from shadow_comparator.testing import POLICIES, TOPICS, World, outcome, prediction
from sklearn import metrics
from tidemark.monitoring.v1 import variants_pb2 as variants
from tidemark.scoring.v1.output_pb2 import Output

if TYPE_CHECKING:
    from bus.received import Received
    from numpy.typing import NDArray
    from shadow_comparator.domain.measures import Measure
    from tidemark.monitoring.v1.variants_pb2 import ComparedMeasure, VariantsCompared

REGRESSION = ModelRules(Task.REGRESSION, label="late")
CLASSES = ModelRules(Task.MULTICLASS, classes=3, label="late")
RANKING = ModelRules(Task.RANKING, label="late")
EMBEDDING = ModelRules(Task.EMBEDDING, label="late")


def _contents(
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    truths: NDArray[np.float64] | None = None,
    numbers: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> Contents:
    answers = [
        Answer(f"{row:05}", version, role, float(score), b"" if rows is None else rows[row].tobytes())
        for version, role, scores, rows in (
            ("a", Role.CHAMPION, ours, None if numbers is None else numbers[0]),
            ("b", Role.SHADOW, theirs, None if numbers is None else numbers[1]),
        )
        for row, score in enumerate(scores)
    ]
    return Contents(
        answers, {} if truths is None else {f"{row:05}": float(one) for row, one in enumerate(truths)}
    )


def _only(contents: Contents, rules: ModelRules) -> tuple[Comparison, dict[str, Measure]]:
    (comparison,) = compare(contents, rules)
    return comparison, {measure.name: measure for measure in comparison.measures}


def _values(measure: Measure) -> tuple[float, float]:
    assert measure.champion is not None
    assert measure.challenger is not None
    return measure.champion.value, measure.challenger.value


def test_regressions_are_measured_as_scikit_learn_does() -> None:
    generator = np.random.default_rng(3)
    truths = generator.normal(-400, 90, 300)
    ours, theirs = truths + generator.normal(5, 20, 300), truths + generator.normal(-2, 30, 300)
    comparison, found = _only(_contents(ours, theirs, truths[:250]), REGRESSION)
    labels, pairs = truths[:250], [ours[:250], theirs[:250]]
    assert _values(found["rmse"]) == pytest.approx(
        [metrics.root_mean_squared_error(labels, one) for one in pairs]
    )
    assert _values(found["mae"]) == pytest.approx([metrics.mean_absolute_error(labels, one) for one in pairs])
    assert _values(found["r_squared"]) == pytest.approx([metrics.r2_score(labels, one) for one in pairs])
    assert _values(found["bias"]) == pytest.approx([(one - labels).mean() for one in pairs])
    squared = [metrics.mean_squared_error(labels, one) for one in pairs]
    assert comparison.differences.total == pytest.approx(250 * (squared[1] - squared[0]))
    assert comparison.differences.before == pytest.approx(250 * squared[0])
    assert found["mean_absolute_difference"].between is not None
    assert found["mean_absolute_difference"].between.value == pytest.approx(np.abs(ours - theirs).mean())
    assert (comparison.coverage, comparison.champion.labelled) == (pytest.approx(250 / 300), 250)
    assert {"log_loss", "agreement", "roc_auc"}.isdisjoint(found)
    assert comparison.champion.log_loss is None


def test_intervals_of_a_regression_hold_the_truth_as_often_as_they_say() -> None:
    """Errors of known spread, 300 windows of 200 pairs; 95 % within what 300 draws allow."""
    generator = np.random.default_rng(5)
    truth = {"rmse": 2.0, "mae": 2.0 * np.sqrt(2 / np.pi), "bias": 0.0}
    apart = {"rmse": np.sqrt(5.0) - 2.0, "mae": (np.sqrt(5.0) - 2.0) * np.sqrt(2 / np.pi), "bias": 0.0}
    held: dict[str, list[bool]] = {}
    for _ in range(300):
        errors = generator.normal(0, 2, 200)
        more = errors + generator.normal(0, 1, 200)
        _, found = _only(_contents(errors, more, np.zeros(200)), REGRESSION)
        for name, value_of_ours in truth.items():
            measure = found[name]
            for kind, estimate, value in (
                ("own", measure.champion, value_of_ours),
                ("difference", measure.difference, apart[name]),
            ):
                assert estimate is not None
                assert estimate.lower is not None
                assert estimate.upper is not None
                held.setdefault(f"{name} {kind}", []).append(estimate.lower <= value <= estimate.upper)
    for name, hits in held.items():
        assert 0.91 <= np.mean(hits) <= 0.985, name


def test_values_beyond_all_measure_stop_nothing() -> None:
    extremes = np.array([1.7e308, -1.7e308, 0.0])
    comparison, _ = _only(_contents(extremes, -extremes, extremes), REGRESSION)
    assert np.isfinite(comparison.differences.squares)


def test_many_classes_are_measured_as_scikit_learn_does() -> None:
    generator = np.random.default_rng(4)
    ours, theirs = generator.dirichlet([1, 1, 1], 200), generator.dirichlet([2, 1, 1], 200)
    truths = generator.integers(0, 3, 200).astype(np.float64)
    contents = _contents(ours.max(axis=1), theirs.max(axis=1), truths[:150], (ours, theirs))
    comparison, found = _only(contents, CLASSES)
    losses = [metrics.log_loss(truths[:150], rows[:150], labels=[0, 1, 2]) for rows in (ours, theirs)]
    right = [metrics.accuracy_score(truths[:150], rows[:150].argmax(axis=1)) for rows in (ours, theirs)]
    assert _values(found["log_loss"]) == pytest.approx(losses)
    assert _values(found["accuracy"]) == pytest.approx(right)
    assert comparison.agreement == pytest.approx((ours.argmax(axis=1) == theirs.argmax(axis=1)).mean())
    assert comparison.flips == np.count_nonzero(ours.argmax(axis=1) != theirs.argmax(axis=1))
    assert comparison.differences.total == pytest.approx(150 * (losses[1] - losses[0]))
    assert comparison.champion.labelled == 150


def test_what_is_no_class_and_what_was_not_recorded_is_left_out() -> None:
    rows = np.full((3, 3), 1 / 3)
    contents = _contents(rows.max(axis=1), rows.max(axis=1), np.array([0.0, 3.0, 1.0]), (rows, rows))
    answers = [replace(contents.answers[0], numbers=b""), *contents.answers[1:]]
    comparison, found = _only(Contents(answers, contents.truths), CLASSES)
    assert (comparison.champion.labelled, found["agreement"].rows) == (1, 2)
    unrecorded = [replace(one, numbers=b"") for one in contents.answers]
    comparison, found = _only(Contents(unrecorded, contents.truths), CLASSES)
    assert (comparison.champion.labelled, comparison.differences.pairs, found) == (0, 0, {})


def test_rankings_are_compared_by_their_order() -> None:
    generator = np.random.default_rng(6)
    ours = generator.normal(0, 100, 400).round(0)
    theirs = ours**3 + generator.normal(0, 1e5, 400)
    comparison, found = _only(_contents(ours, theirs, np.ones(400)), RANKING)
    between = found["rank_correlation"].between
    assert between is not None
    assert between.value == pytest.approx(stats.spearmanr(ours, theirs).statistic)
    assert comparison.differences.pairs == 0
    assert found.keys() == {"rank_correlation", "mean_absolute_difference"}


def test_embeddings_are_compared_by_direction_and_by_who_is_near_to_whom() -> None:
    generator = np.random.default_rng(8)
    ours = generator.normal(size=(400, 8))
    turned = ours @ np.linalg.qr(generator.normal(size=(8, 8)))[0]
    lengths = np.linalg.norm(ours, axis=1)
    _, found = _only(_contents(lengths, lengths, None, (ours, turned)), EMBEDDING)
    expected = np.mean(
        [1 - metrics.pairwise.cosine_similarity([a], [b])[0, 0] for a, b in zip(ours, turned, strict=True)]
    )
    distance, near = found["cosine_distance"].between, found["rank_correlation"].between
    assert distance is not None
    assert near is not None
    assert distance.value == pytest.approx(expected)
    assert near.value == pytest.approx(1.0)
    _, other_width = _only(_contents(lengths, lengths, None, (ours, turned[:, :5])), EMBEDDING)
    assert other_width.keys() == {"rank_correlation"}


@pytest.mark.parametrize("task", [Task.RANKING, Task.EMBEDDING])
def test_no_verdict_is_given_where_nothing_says_what_is_better(task: Task) -> None:
    judgement = judge([Differences.of([1.0, 2.0])] * 20, VerdictPolicy(least_pairs=1), task)
    assert (judgement.verdict, judgement.loss, judgement.evidence) == (Verdict.UNDEFINED, "", None)
    assert task.name.lower() in judgement.reason


def _days(generator: np.random.Generator, *, worse: float, scale: float, days: int = 40) -> list[Differences]:
    """Champion's errors of deviation `scale`; the challenger's are those and a little of its own."""
    found = []
    for _ in range(days):
        mood = generator.normal(0, 0.3) * scale
        errors = generator.normal(mood, scale, 200)
        theirs = errors * np.sqrt(1 + worse) + generator.choice([-1, 1], 200) * 0.02 * scale
        found.append(Differences.of(theirs**2 - errors**2, errors**2))
    return found


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e5])
@pytest.mark.parametrize(
    ("worse", "verdict"), [(0.3, Verdict.WORSE), (-0.3, Verdict.BETTER), (0.0, Verdict.EQUIVALENT)]
)
def test_a_regressions_verdict_does_not_depend_on_the_unit(
    scale: float, worse: float, verdict: Verdict
) -> None:
    judgement = judge(
        _days(np.random.default_rng(1), worse=worse, scale=scale), VerdictPolicy(), Task.REGRESSION
    )
    assert judgement.verdict is verdict
    assert judgement.loss == "squared_error"
    assert judgement.evidence is not None


def test_equal_regressions_are_called_unequal_at_most_as_often_as_promised() -> None:
    """Skewed squared errors, days with fortunes of their own, a look each day."""
    generator, policy, wrong = np.random.default_rng(2), VerdictPolicy(), 0
    for _ in range(150):
        days = []
        for _ in range(40):
            mood = generator.normal(0, 0.3)
            ours, theirs = (mood + generator.standard_t(6, 150) for _ in range(2))
            days.append(Differences.of(theirs**2 - ours**2, ours**2))
        verdicts = {judge(days[:day], policy, Task.REGRESSION).verdict for day in range(14, 41)}
        wrong += bool(verdicts & {Verdict.BETTER, Verdict.WORSE})
    assert wrong / 150 <= policy.alpha


def test_evidence_that_was_kept_without_what_it_was_taken_from_is_read() -> None:
    found = Differences.of([1.0, 3.0], [5.0, 5.0])
    assert codec.differences_of(codec.differences_bytes(found)) == found
    assert codec.differences_of(codec.differences_bytes(found)[:24]) == replace(found, before=0.0)


def _world(rules: ModelRules) -> World:
    return World(policies=replace(POLICIES, models={"delay": rules}))


def _both(key: str, scores: tuple[float, float], rows: Any = None, **given: Any) -> tuple[Received, Received]:
    outputs = [[], []] if rows is None else [[_output(row)] for row in rows]
    return (
        prediction(key, score=scores[0], outputs=outputs[0], **given),
        prediction(key, score=scores[1], outputs=outputs[1], shadow=True, **given),
    )


def _output(row: NDArray[np.float32]) -> Output:
    return Output(name="probabilities", datatype="FP32", shape=[len(row)], values=row.astype("<f4").tobytes())


async def _compared(world: World, *facts: Received) -> tuple[VariantsCompared, dict[str, ComparedMeasure]]:
    """What is told of the window once it has closed, all partitions read to their end."""
    process = world.process()
    partitions = [TopicPartition(topic, 0) for topic in TOPICS.inputs]
    world.ends.update(dict.fromkeys(partitions, 0))
    await process.joining.resume_from(partitions)
    assert await process.take(*facts, prediction("later", hours=24.0, score=0.5)) == []
    await process.watching.look()
    told = world.compared[-1]
    return told, {measure.name: measure for measure in told.measures}


async def test_a_regressions_answers_are_joined_and_compared() -> None:
    world = _world(REGRESSION)
    told, found = await _compared(
        world,
        *_both("1", (-40.0, 12.5), segment="big"),
        *_both("2", (0.5, 3.0)),
        outcome("1", -38.0),
        outcome("2", 2.5),
    )
    assert told.task == variants.TASK_REGRESSION
    assert found["mae"].champion.value == pytest.approx(2.0)
    assert not found["mae"].champion.HasField("lower")
    assert found["mae"].challenger.value == pytest.approx(25.5)
    assert not told.champion.HasField("log_loss")
    resolved = world.resolved
    assert {(one.version, one.score, one.outcome) for one in resolved.values()} == {
        ("a", -40.0, -38.0), ("b", 12.5, -38.0), ("a", 0.5, 2.5), ("b", 3.0, 2.5),
    }  # fmt: skip
    assert resolved["id-1:a:0"].segment == "big"
    assert resolved["id-2:a:0"].segment == ""


async def test_many_classes_carry_their_probabilities_to_their_outcome() -> None:
    rows = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]], np.float32)
    world = _world(CLASSES)
    scores = float(rows[0].max()), float(rows[1].max())
    told, found = await _compared(world, *_both("1", scores, rows), outcome("1", 2.0))
    assert told.task == variants.TASK_MULTICLASS
    assert (told.flips, told.agreement) == (1, 0.0)
    assert found["log_loss"].champion.value == pytest.approx(-np.log(0.1), rel=1e-6)
    assert list(world.resolved["id-1:b:0"].probabilities) == rows[1].astype(np.float64).tolist()


async def test_embeddings_come_from_the_outputs_and_need_no_outcome() -> None:
    generator = np.random.default_rng(9)
    world = _world(EMBEDDING)
    facts = []
    for key in range(40):
        rows = generator.normal(size=(2, 6)).astype(np.float32)
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
        facts += _both(str(key), (float(lengths[0]), float(lengths[1])), rows)
    told, found = await _compared(world, *facts)
    assert (told.task, told.verdict, told.provisional) == (
        variants.TASK_EMBEDDING,
        variants.VERDICT_UNDEFINED,
        False,
    )
    assert 0.8 < found["cosine_distance"].between.value < 1.2
    assert found["cosine_distance"].between.HasField("lower")
    assert -0.9 < found["rank_correlation"].between.value < 0.9


@pytest.mark.parametrize(
    ("rules", "fact", "reason"),
    [
        (REGRESSION, prediction("1", score=float("inf")), "NOT_A_NUMBER"),
        (REGRESSION, outcome("1", float("nan")), "NOT_A_NUMBER"),
        (CLASSES, outcome("1", 3.0), "NOT_A_CLASS"),
        (CLASSES, outcome("1", 0.5), "NOT_A_CLASS"),
        (ModelRules(label="late"), prediction("1", score=1.5), "NOT_A_PROBABILITY"),
        (ModelRules(label="late"), outcome("1", 2.0), "NOT_A_BINARY_OUTCOME"),
    ],
)
async def test_what_no_model_of_the_task_can_have_said_is_refused_by_name(
    rules: ModelRules, fact: Received, reason: str
) -> None:
    (refused,) = await _world(rules).process().take(fact)
    assert refused.reason == reason


async def test_answers_and_labels_that_the_project_does_not_know_are_joined_whatever_they_are() -> None:
    world = _world(ModelRules(label="late"))
    facts = prediction("1", model="price", score=-7.5, label="paid"), outcome("1", 12.25, label="paid")
    assert await world.process().take(*facts) == []
    (resolved,) = world.resolved.values()
    assert (resolved.score, resolved.outcome) == (-7.5, 12.25)


async def test_a_label_of_two_models_is_read_as_either_takes_it() -> None:
    world = World(policies=replace(POLICIES, models={"delay": ModelRules(label="late"), "size": REGRESSION}))
    facts = (
        prediction("1"),
        prediction("1", model="size", version="s", score=30.0),
        prediction("1", version="b", score=0.2, shadow=True),
        outcome("1", 25.0),
    )
    told, _ = await _compared(world, *facts)
    assert {(one.model, one.outcome) for one in world.resolved.values()} == {("delay", 25.0), ("size", 25.0)}
    assert (told.label_coverage, told.champion.labelled) == (0.0, 0)
