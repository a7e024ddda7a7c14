"""A version's conduct: slow ones are known by their runs, and failing ones are left alone for a while."""

import pytest
from inference.domain.conduct import Conduct, Patience
from inference.domain.errors import VersionFailing

PATIENCE = Patience(slow_run_s=0.01, failures=3, pause_s=1.0, longest_pause_s=4.0)


def _run(conduct: Conduct, runs: str, now_s: float = 0.0, took_s: float = 0.001) -> None:
    """Run it: a dot is a score, an x none."""
    for run in runs:
        conduct.ran(took_s, has_scored=run == ".", now_s=now_s, patience=PATIENCE)


def test_one_run_far_over_the_measure_is_slow_and_quick_runs_make_it_quick_again() -> None:
    conduct = Conduct("v")
    _run(conduct, ".")
    assert not conduct.is_slow(PATIENCE)
    _run(conduct, ".", took_s=0.5)
    assert conduct.is_slow(PATIENCE)
    _run(conduct, "." * 10)
    assert not conduct.is_quick_again(PATIENCE)
    _run(conduct, "." * 20)
    assert conduct.is_quick_again(PATIENCE)


def test_a_version_that_was_slow_to_warm_is_slow_from_the_start() -> None:
    assert Conduct("v", run_s=0.5).is_slow(PATIENCE)


def test_failures_in_a_row_pause_a_version_and_one_success_forgives_them() -> None:
    conduct = Conduct("m v7")
    _run(conduct, "xx.xx")
    conduct.check(0.0)
    _run(conduct, "x")
    with pytest.raises(VersionFailing, match=r"VERSION_FAILING: m v7 gave no score 3 times .* 750 ms"):
        conduct.check(0.25)


def test_after_the_pause_one_request_tries_and_the_others_wait_for_it() -> None:
    conduct = Conduct("v")
    _run(conduct, "xxx")
    conduct.check(1.0)
    with pytest.raises(VersionFailing):
        conduct.check(1.1)
    _run(conduct, ".", now_s=1.2)
    conduct.check(1.2)
    conduct.check(1.2)


def test_each_try_in_vain_doubles_the_pause_up_to_the_longest() -> None:
    conduct, now_s, pauses = Conduct("v"), 0.0, []
    _run(conduct, "xxx")
    for _ in range(4):
        with pytest.raises(VersionFailing) as caught:
            conduct.check(now_s)
        pauses.append(caught.value.retry_after_s)
        now_s += caught.value.retry_after_s
        conduct.check(now_s)
        _run(conduct, "x", now_s=now_s)
    assert pauses == [1.0, 2.0, 4.0, 4.0]


def test_what_was_under_way_when_the_pause_began_does_not_lengthen_it() -> None:
    conduct = Conduct("v")
    _run(conduct, "x" * 20)
    with pytest.raises(VersionFailing) as caught:
        conduct.check(0.0)
    assert caught.value.retry_after_s == 1.0


def test_a_try_that_was_never_run_is_followed_by_another() -> None:
    conduct = Conduct("v")
    _run(conduct, "xxx")
    conduct.check(1.0)
    conduct.check(2.0)
