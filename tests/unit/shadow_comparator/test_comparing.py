from __future__ import annotations

import numpy as np
import pytest
from shadow_comparator.domain.comparing import Comparison, compare
from shadow_comparator.domain.facts import Role
from shadow_comparator.domain.tasks import ModelRules
from shadow_comparator.domain.windows import Answer, Contents
from sklearn import metrics


def _contents(seed: int, *, requests: int = 200, labelled: int = 150) -> Contents:
    """A champion that answered everything, a shadow that missed each fifth, labels for the first ones."""
    generator = np.random.default_rng(seed)
    ours, theirs = generator.random(requests), generator.random(requests)
    answers = [Answer(f"{number}", "a", Role.CHAMPION, float(score)) for number, score in enumerate(ours)]
    answers += [
        Answer(f"{number}", "b", Role.SHADOW, float(score))
        for number, score in enumerate(theirs)
        if number % 5
    ]
    truths = {f"{number}": float(generator.random() < ours[number]) for number in range(labelled)}
    return Contents(answers, truths)


def _only(contents: Contents, threshold: float = 0.3) -> Comparison:
    (comparison,) = compare(contents, ModelRules(threshold=threshold))
    return comparison


def test_figures_equal_scikit_learns_on_the_labelled_pairs() -> None:
    contents = _contents(7)
    found = _only(contents)
    labelled = [number for number in range(150) if number % 5]
    labels = [contents.truths[f"{number}"] for number in labelled]
    for quality, role in ((found.champion, Role.CHAMPION), (found.challenger, Role.SHADOW)):
        by_request = {
            answer.prediction_id: answer.score for answer in contents.answers if answer.role is role
        }
        scores = np.array([by_request[f"{number}"] for number in labelled])
        assert quality.roc_auc == pytest.approx(metrics.roc_auc_score(labels, scores))
        assert quality.log_loss == pytest.approx(metrics.log_loss(labels, scores))
        assert quality.brier == pytest.approx(metrics.brier_score_loss(labels, scores))
        assert quality.accuracy == pytest.approx(metrics.accuracy_score(labels, scores >= 0.3))
        assert (quality.labelled, quality.positives) == (120, int(sum(labels)))


def test_coverage_is_of_all_requests_and_pairs_are_those_both_answered() -> None:
    found = _only(_contents(7))
    assert (found.requests, found.paired, found.coverage) == (200, 160, 0.75)


def test_the_differences_are_of_log_loss_challenger_less_champion() -> None:
    found = _only(_contents(7))
    assert found.challenger.log_loss is not None
    assert found.champion.log_loss is not None
    assert found.differences.pairs == 120
    assert found.differences.total / 120 == pytest.approx(found.challenger.log_loss - found.champion.log_loss)


def test_without_labels_only_what_needs_none_is_said() -> None:
    found = _only(_contents(7, labelled=0))
    assert found.coverage == 0.0
    assert found.champion.roc_auc is found.champion.log_loss is found.challenger.brier is None
    assert found.differences.pairs == 0
    assert found.paired == 160
    assert 0 < found.agreement < 1


def test_the_order_of_answers_changes_no_bit() -> None:
    contents = _contents(7)
    shuffled = Contents(contents.answers[::-1], dict(sorted(contents.truths.items(), reverse=True)))
    assert compare(shuffled, ModelRules(threshold=0.3)) == compare(contents, ModelRules(threshold=0.3))


def test_without_a_challenger_or_a_common_request_nothing_is_compared() -> None:
    alone = Contents([Answer("1", "a", Role.CHAMPION, 0.5)], {})
    assert compare(alone, ModelRules(threshold=0.5)) == []
    apart = Contents([*alone.answers, Answer("2", "b", Role.SHADOW, 0.5)], {})
    assert compare(apart, ModelRules(threshold=0.5)) == []
    assert compare(Contents([], {}), ModelRules(threshold=0.5)) == []


def test_a_window_in_which_the_champion_changed_has_both_pairs() -> None:
    answers = [
        Answer("1", "a", Role.CHAMPION, 0.5),
        Answer("1", "b", Role.SHADOW, 0.4),
        Answer("2", "b", Role.CHAMPION, 0.5),
        Answer("2", "a", Role.SHADOW, 0.4),
    ]
    pairs = [
        (one.champion.version, one.challenger.version, one.requests)
        for one in compare(Contents(answers, {}), ModelRules(threshold=0.5))
    ]
    assert pairs == [("a", "b", 2), ("b", "a", 2)]


def test_a_canarys_own_requests_are_nobodys_pairs() -> None:
    answers = [
        Answer("1", "a", Role.CHAMPION, 0.5),
        Answer("2", "b", Role.CHALLENGER, 0.5),
        Answer("1", "c", Role.SHADOW, 0.5),
        Answer("2", "c", Role.SHADOW, 0.5),
    ]
    pairs = [
        (one.champion.version, one.challenger.version, one.paired)
        for one in compare(Contents(answers, {}), ModelRules(threshold=0.5))
    ]
    assert pairs == [("a", "c", 1)]


def test_a_canary_and_its_champion_meet_on_every_request() -> None:
    shadowed = _contents(7)
    scores = {(one.version, one.prediction_id): one for one in shadowed.answers}
    answers = [
        Answer(one.prediction_id, one.version, _role_in_canary(one), one.score) for one in scores.values()
    ]
    assert compare(Contents(answers, shadowed.truths), ModelRules(threshold=0.3)) == compare(
        shadowed, ModelRules(threshold=0.3)
    )


def _role_in_canary(answer: Answer) -> Role:
    """One request in ten went to the canary, "b": there "a" was its shadow."""
    to_canary = answer.prediction_id.endswith("7")
    if answer.version == "a":
        return Role.SHADOW if to_canary else Role.CHAMPION
    return Role.CHALLENGER if to_canary else Role.SHADOW
