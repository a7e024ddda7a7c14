"""How long to wait."""

import pytest
from bus.retrying import Retry
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_between_half_and_all_of_a_doubling_that_is_capped(failures: int, jitter: float) -> None:
    full = min(10_000, 100 * 2 ** min(failures - 1, 20))
    assert full / 2 <= Retry().wait_ms(failures, jitter) <= full


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first_wait_ms": -1}, {"longest_wait_ms": 1}])
def test_nonsense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="Retry"):
        Retry(**wrong)
