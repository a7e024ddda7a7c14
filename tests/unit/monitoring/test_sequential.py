from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monitoring import ConfidenceSequence, Differences, confidence_sequence

_ALPHA = 0.05
_DAYS = 60
_PAIRS = 300
_RUNS = 400


def _look(groups: list[np.ndarray], *, tightest_at_pairs: int = 10_000) -> ConfidenceSequence:
    found = confidence_sequence(
        [Differences.of(group) for group in groups], alpha=_ALPHA, tightest_at_pairs=tightest_at_pairs
    )
    assert found is not None
    return found


def _verdicts(
    generator: np.random.Generator, *, mean: float, day_deviation: float, first_look: int
) -> tuple[int, int]:
    """Compare every day for two months; count the runs that ever called the mean positive, and negative."""
    positive = negative = 0
    for _ in range(_RUNS):
        days = generator.normal(mean, 0.3, (_DAYS, _PAIRS)) + generator.normal(0, day_deviation, (_DAYS, 1))
        sums = [Differences.of(day) for day in days]
        looks = [
            confidence_sequence(sums[:day], alpha=_ALPHA, tightest_at_pairs=10_000)
            for day in range(first_look, _DAYS + 1)
        ]
        positive += any(look is not None and look.lower > 0 for look in looks)
        negative += any(look is not None and look.upper < 0 for look in looks)
    return positive, negative


@pytest.mark.parametrize("day_deviation", [0.0, 0.03, 0.3])
def test_looking_every_day_finds_a_difference_that_is_not_there_at_most_as_often_as_promised(
    day_deviation: float,
) -> None:
    generator = np.random.default_rng(20130401)
    wrong = sum(_verdicts(generator, mean=0.0, day_deviation=day_deviation, first_look=14))
    assert wrong / _RUNS <= _ALPHA


def test_taking_the_pairs_of_a_day_for_independent_would_break_the_promise() -> None:
    """Why the deviation is over groups: each pair a group of its own is the textbook sequence."""
    generator = np.random.default_rng(20130401)
    wrong = 0
    for _ in range(60):
        days = generator.normal(0, 0.3, (20, 60)) + generator.normal(0, 0.15, (20, 1))
        looks = [_look([np.array([pair]) for pair in days[:day].ravel()]) for day in (10, 15, 20)]
        wrong += any(look.lower > 0 or look.upper < 0 for look in looks)
    assert wrong / 60 > 2 * _ALPHA


def test_a_difference_that_is_there_is_found() -> None:
    generator = np.random.default_rng(20130401)
    positive, negative = _verdicts(generator, mean=0.03, day_deviation=0.03, first_look=14)
    assert positive / _RUNS > 0.9
    assert negative == 0


def test_the_half_width_is_the_published_formula() -> None:
    """The form of the formula in which others state it, with r the square root of rho squared."""
    groups = [np.array([-1.0, 1.0]), np.array([1.0, -1.0])]
    look = _look(groups, tightest_at_pairs=50)
    pairs, deviation = 4, 1.0
    r = math.sqrt((-2 * math.log(_ALPHA) + math.log(-2 * math.log(_ALPHA) + 1)) / 50)
    spread = pairs * r**2 + 1
    expected = deviation * math.sqrt(2 * spread / (pairs**2 * r**2) * math.log(math.sqrt(spread) / _ALPHA))
    assert (look.pairs, look.groups, look.mean) == (4, 2, 0.0)
    assert look.half_width == pytest.approx(expected)


def test_the_interval_is_narrowest_about_where_it_was_tuned_to_be() -> None:
    groups = [np.array([-1.0, 1.0] * 500), np.array([1.0, -1.0] * 500)]
    widths = {
        tuned: _look(groups, tightest_at_pairs=tuned).half_width for tuned in (20, 200, 2000, 20_000, 200_000)
    }
    assert min(widths, key=lambda tuned: widths[tuned]) == 2000


_GROUPS = st.lists(
    hnp.arrays(np.float64, st.integers(0, 6), elements=st.floats(-40, 40)), min_size=1, max_size=6
).filter(lambda groups: any(group.size for group in groups))


@given(_GROUPS)
def test_the_mean_is_inside_and_the_deviation_is_no_less_than_that_of_the_pairs(
    groups: list[np.ndarray],
) -> None:
    look = _look(groups)
    pairs = np.concatenate(groups)
    assert look.mean == pytest.approx(pairs.mean(), abs=1e-9)
    assert look.lower <= look.mean <= look.upper
    single = _look([pairs, np.zeros(0)])
    assert math.isinf(single.half_width)


@given(_GROUPS)
def test_the_order_of_groups_and_pairs_changes_no_bit(groups: list[np.ndarray]) -> None:
    shuffled = [np.array(sorted(group)) for group in reversed(groups)]
    assert _look(shuffled) == _look(groups)


def test_one_group_concludes_nothing() -> None:
    assert math.isinf(_look([np.full(1000, 0.5)]).half_width)


def test_without_pairs_there_is_no_interval() -> None:
    assert confidence_sequence([Differences(0, 0.0, 0.0)], alpha=_ALPHA, tightest_at_pairs=100) is None
    assert confidence_sequence([], alpha=_ALPHA, tightest_at_pairs=100) is None


@pytest.mark.parametrize("alpha", [0.0, 1.0, float("nan")])
def test_an_alpha_that_is_no_chance_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must lie between 0 and 1"):
        confidence_sequence([], alpha=alpha, tightest_at_pairs=100)


def test_tuning_for_no_pairs_is_refused() -> None:
    with pytest.raises(ValueError, match="tightest_at_pairs must be at least 1"):
        confidence_sequence([], alpha=_ALPHA, tightest_at_pairs=0)


def test_a_difference_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="differences must be finite"):
        Differences.of([0.1, float("inf")])
