from __future__ import annotations

import pytest
from shadow_comparator.domain.maturing import Look, Stage, WindowPolicy, worth_looking
from shadow_comparator.domain.windows import Glimpse, window_start_us

_POLICY = WindowPolicy(length_us=100, coverage=0.9, maturity_us=50, step=0.25)


@pytest.mark.parametrize(
    ("watermark_us", "coverage", "stage"),
    [
        (1099, 1.0, Stage.OPEN),
        (1100, 0.0, Stage.CLOSED),
        (1100, 0.899, Stage.CLOSED),
        (1100, 0.9, Stage.COVERED),
        (1149, 0.1, Stage.CLOSED),
        (1150, 0.0, Stage.AGED),
        (1150, 1.0, Stage.AGED),
    ],
)
def test_a_window_matures_by_coverage_or_by_age_and_never_before_it_closes(
    watermark_us: int, coverage: float, stage: Stage
) -> None:
    assert _POLICY.stage(1000, coverage, watermark_us) is stage


def _look(
    labelled: int,
    last: Look | None,
    *,
    watermark_us: int = 1120,
    changes: int | None = None,
    quiet: bool = False,
) -> Look | None:
    glimpse = Glimpse(
        1000, changes=200 + labelled if changes is None else changes, requests=100, labelled=labelled
    )
    return worth_looking(glimpse, last, _POLICY, watermark_us, quiet=quiet)


def test_an_open_window_is_left_alone() -> None:
    assert _look(100, None, watermark_us=1099, quiet=True) is None


def test_a_window_is_looked_into_when_it_closes_whatever_is_in_it() -> None:
    assert _look(0, None) == Look(Stage.CLOSED, 200)


def test_it_is_looked_into_again_after_a_step_of_labels_and_not_before() -> None:
    assert _look(24, Look(Stage.CLOSED, 200)) is None
    assert _look(25, Look(Stage.CLOSED, 200)) == Look(Stage.CLOSED, 225)


def test_it_is_looked_into_when_it_matures() -> None:
    assert _look(90, Look(Stage.CLOSED, 289)) == Look(Stage.COVERED, 290)
    assert _look(50, Look(Stage.CLOSED, 250), watermark_us=1150) == Look(Stage.AGED, 250)


def test_when_it_is_quiet_the_last_change_counts_and_nothing_else() -> None:
    assert _look(24, Look(Stage.CLOSED, 200), quiet=True) == Look(Stage.CLOSED, 224)
    assert _look(24, Look(Stage.CLOSED, 224), quiet=True) is None


def test_a_correction_is_a_change_too() -> None:
    assert _look(100, Look(Stage.AGED, 300), changes=326, watermark_us=2000) == Look(Stage.AGED, 326)


def test_the_number_of_looks_is_bounded_by_steps_and_not_by_labels() -> None:
    last: Look | None = None
    looks = 0
    for labelled in range(101):
        look = _look(labelled, last)
        looks += look is not None
        last = look or last
    assert looks <= 1 + 4 + 1


@pytest.mark.parametrize(("time_us", "start_us"), [(0, 0), (99, 0), (100, 100), (-1, -100)])
def test_windows_are_aligned_to_the_epoch(time_us: int, start_us: int) -> None:
    assert window_start_us(time_us, 100) == start_us
