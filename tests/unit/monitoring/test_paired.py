from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitoring import agreement, flips, mean_absolute_difference
from sklearn import metrics

_SCORE = st.one_of(st.sampled_from([0.0, 0.3, 1.0]), st.floats(0.0, 1.0))
_PAIRS = st.lists(st.tuples(_SCORE, _SCORE), min_size=1, max_size=40)


@given(_PAIRS)
def test_agreement_and_difference_equal_scikit_learns(pairs: list[tuple[float, float]]) -> None:
    champion, challenger = zip(*pairs, strict=True)
    decided = [score >= 0.3 for score in champion], [score >= 0.3 for score in challenger]
    assert agreement(champion, challenger, 0.3) == pytest.approx(metrics.accuracy_score(*decided))
    expected = metrics.mean_absolute_error(champion, challenger)
    assert mean_absolute_difference(champion, challenger) == pytest.approx(expected)


@given(_PAIRS)
def test_flips_and_agreement_account_for_every_pair(pairs: list[tuple[float, float]]) -> None:
    champion, challenger = zip(*pairs, strict=True)
    share = agreement(champion, challenger, 0.3)
    assert share is not None
    assert flips(champion, challenger, 0.3) == pytest.approx((1 - share) * len(pairs))


def test_a_flip_is_a_pair_on_two_sides_of_the_threshold() -> None:
    assert flips([0.3, 0.1, 0.9], [0.29, 0.2, 0.31], 0.3) == 1


def test_without_pairs_nothing_is_claimed() -> None:
    assert flips([], [], 0.3) == 0
    assert agreement([], [], 0.3) is None
    assert mean_absolute_difference([], []) is None


def test_pairs_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="champion and challenger must have one length; found 1 and 2"):
        flips([0.1], [0.1, 0.2], 0.3)
