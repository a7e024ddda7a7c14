"""Budgets, backoff and deadlines, over whatever happens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tidemark_client import InvalidRequest, NotReady, Overloaded, Retries
from tidemark_client.retrying import Attempts, Budget

NOT_READY = NotReady("not yet")


@given(
    st.lists(st.booleans(), max_size=300),
    st.floats(0, 1),
    st.floats(0, 20),
)
def test_retries_never_exceed_the_burst_and_the_share_of_successes(
    events: list[bool], ratio: float, burst: float
) -> None:
    budget = Budget(Retries(budget_ratio=ratio, budget_burst=burst))
    retries = successes = 0
    for is_success in events:
        if is_success:
            budget.earn()
            successes += 1
        else:
            retries += budget.take()
        assert retries <= burst + ratio * successes + 1e-9


def test_what_is_saved_is_bounded_so_that_a_long_calm_earns_no_storm() -> None:
    budget = Budget(Retries(budget_burst=3))
    for _ in range(1_000):
        budget.earn()
    assert [budget.take() for _ in range(4)] == [True, True, True, False]


def test_threads_share_a_budget() -> None:
    budget = Budget(Retries(budget_burst=500))
    with ThreadPoolExecutor(8) as threads:
        taken = sum(threads.map(lambda _: budget.take(), range(2_000)))
    assert taken == 500


@given(st.integers(0, 60), st.floats(0, 1), st.floats(0.001, 1), st.floats(0, 5))
def test_a_wait_is_a_random_part_of_what_doubles_up_to_a_bound(
    retry: int, chance: float, first_s: float, longest_s: float
) -> None:
    wait_s = Retries(first_backoff_s=first_s, longest_backoff_s=longest_s).backoff_s(retry, chance)
    assert 0 <= wait_s <= min(longest_s, first_s * 2**retry)


@settings(max_examples=50)
@given(
    st.integers(1, 6),
    st.lists(st.one_of(st.none(), st.floats(0, 2)), max_size=10),
    st.floats(0.01, 3),
    st.floats(0, 1),
)
def test_no_attempt_is_begun_after_the_deadline_or_before_the_server_asked(
    most_attempts: int, advised: list[float | None], allowed_s: float, chance: float
) -> None:
    retries = Retries(most_attempts=most_attempts)
    attempts = Attempts(retries, Budget(retries), 100 + allowed_s, lambda: chance)
    now_s = 100.0
    for advice_s in advised:
        wait_s = attempts.wait_after(Overloaded("busy", advice_s), now_s)
        if wait_s is None:
            break
        assert wait_s >= (advice_s or 0)
        now_s += wait_s
        assert now_s < 100 + allowed_s
        assert attempts.left_s(now_s) > 0
    assert attempts.count <= most_attempts


def test_what_cannot_change_is_not_asked_again_and_costs_nothing() -> None:
    retries = Retries(budget_burst=1)
    budget = Budget(retries)
    attempts = Attempts(retries, budget, 10, lambda: 0.5)
    assert attempts.wait_after(InvalidRequest("x", "is wrong"), 0) is None
    assert attempts.wait_after(NotReady("gone"), 9.999) is None  # not before the deadline
    assert attempts.wait_after(NOT_READY, 0) is not None
    assert attempts.wait_after(NOT_READY, 0) is None  # the budget is spent


@pytest.mark.parametrize(
    "wrong", [{"most_attempts": 0}, {"first_backoff_s": -1}, {"budget_ratio": -0.1}, {"budget_burst": -1}]
)
def test_retries_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"most_attempts|0 or more"):
        Retries(**wrong)
