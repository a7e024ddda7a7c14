"""A batch waits for company that is about, while the loop is busy, and no longer."""

import pytest
from inference.domain.gathering import Company, Gathering

COMPANY = Company(enough=4, longest_s=0.008, idle_turn_s=0.00001, hold_s=0.002, nap_s=0.001, window_s=0.05)
BUSY_S, IDLE_S = 0.0005, 0.000005


@pytest.fixture
def gathering() -> Gathering:
    gathering = Gathering(COMPANY)
    gathering.ended(in_hand=2)
    gathering.begin(0.0)
    return gathering


def turns(gathering: Gathering, waiting: list[int], turn_s: float) -> int:
    """How many turns are waited, where so many wait at each."""
    for turn, many in enumerate(waiting):
        if gathering.wait_s(many, (turn + 1) * turn_s) is None:
            return turn
    return len(waiting)


def test_a_lone_request_waits_for_nobody() -> None:
    gathering = Gathering(COMPANY)
    assert not gathering.is_crowded
    gathering.begin(0.0)
    assert turns(gathering, [1] * 10, BUSY_S) == 0
    gathering.ended(in_hand=1)
    gathering.begin(0.0)
    assert turns(gathering, [1] * 10, BUSY_S) == 0


def test_a_busy_loop_is_waited_for_until_enough_have_come(gathering: Gathering) -> None:
    assert turns(gathering, [1, 2, 3, 4, 5], BUSY_S) == 3


def test_a_turn_that_did_nothing_ends_the_wait(gathering: Gathering) -> None:
    assert gathering.wait_s(1, BUSY_S) == 0
    assert gathering.wait_s(1, BUSY_S + IDLE_S) is None


def test_however_busy_the_loop_is_the_wait_ends(gathering: Gathering) -> None:
    assert turns(gathering, [1] * 100, BUSY_S) == COMPANY.longest_s / BUSY_S - 1


def test_nobody_is_waited_for_where_nobody_waits(gathering: Gathering) -> None:
    assert turns(gathering, [0], BUSY_S) == 0


def test_who_was_alone_again_waits_for_nobody_again(gathering: Gathering) -> None:
    gathering.ended(in_hand=1)
    gathering.begin(1.0)
    assert gathering.wait_s(1, 1.0 + BUSY_S) is None


def test_where_the_processor_is_short_an_idle_loop_is_waited_for_too_but_not_long(
    gathering: Gathering,
) -> None:
    gathering.used(0.9 * 10.0, 10.0)
    gathering.begin(10.0)
    assert gathering.wait_s(1, 10.0 + IDLE_S) == COMPANY.nap_s
    assert gathering.wait_s(2, 10.0 + COMPANY.hold_s + IDLE_S) == 0
    assert gathering.wait_s(2, 10.0 + COMPANY.hold_s + 2 * IDLE_S) is None


def test_where_the_processor_is_short_who_seems_alone_looks_about_once_a_window() -> None:
    gathering = Gathering(COMPANY)
    assert gathering.is_due(10.0)
    gathering.used(0.9 * 10.0, 10.0)
    assert gathering.is_crowded
    gathering.ended(in_hand=1)
    assert not gathering.is_crowded
    assert not gathering.is_due(10.0 + COMPANY.window_s / 2)


def test_where_there_is_processor_left_nobody_looks_about() -> None:
    gathering = Gathering(COMPANY)
    gathering.used(0.5 * 10.0, 10.0)
    assert not gathering.is_crowded
