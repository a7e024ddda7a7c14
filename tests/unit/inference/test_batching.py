"""The line is bounded, first come first served, and forgets whom nobody waits for."""

from dataclasses import dataclass

import pytest
from inference.domain.batching import Line, NoRoom
from inference.domain.breaker import Breaker


@dataclass
class Guest:
    number: int
    until_s: float = 10.0
    lane: str = "a"
    received_at_s: float = 0.0

    def is_wanted(self, now_s: float) -> bool:
        return now_s < self.until_s


def test_guests_go_in_order_and_at_most_a_batch_together() -> None:
    line: Line[Guest] = Line(limit=10, batch=3)
    line.join([Guest(i) for i in range(5)])
    assert [guest.number for guest in line.take(0.0)] == [0, 1, 2]
    assert [guest.number for guest in line.take(0.0)] == [3, 4]
    assert line.take(0.0) == []


def test_who_finds_no_room_is_turned_away_and_nobody_else() -> None:
    line: Line[Guest] = Line(limit=3, batch=3)
    line.join([Guest(0), Guest(1)])
    with pytest.raises(NoRoom, match="2 requests wait, the limit is 3"):
        line.join([Guest(2), Guest(3)])
    line.join([Guest(4)])
    assert [guest.number for guest in line.take(0.0)] == [0, 1, 4]


def test_whom_nobody_waits_for_takes_no_place_in_a_batch() -> None:
    line: Line[Guest] = Line(limit=10, batch=2)
    line.join([Guest(0, until_s=1.0), Guest(1), Guest(2, until_s=1.0), Guest(3)])
    assert [guest.number for guest in line.take(5.0)] == [1, 3]
    assert len(line) == 0


def test_one_lane_leaves_room_for_the_others() -> None:
    line: Line[Guest] = Line(limit=100, batch=100)
    for number in range(80):
        line.join([Guest(number)])
    with pytest.raises(NoRoom, match="80 requests of 'a' wait, its share of the 100 is used up"):
        line.join([Guest(80)])
    for number in range(10):
        line.join([Guest(number, lane="b")])
    assert len(line) == 90


def test_lanes_take_turns_in_a_batch_and_what_one_leaves_the_others_have() -> None:
    line: Line[Guest] = Line(limit=100, batch=6)
    line.join([Guest(number) for number in range(20)])
    line.join([Guest(100, lane="b")])
    line.join([Guest(200, lane="c"), Guest(201, lane="c"), Guest(202, lane="c")])
    assert [guest.number for guest in line.take(0.0)] == [0, 1, 100, 200, 201, 2]
    assert sorted(guest.number for guest in line.take(0.0)) == [3, 4, 5, 6, 7, 202]
    assert len(line) == 12


def test_a_breaker_opens_after_failures_in_a_row_and_closes_on_success() -> None:
    breaker = Breaker(failures_to_open=2)
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert not breaker.is_open
    breaker.failed()
    assert breaker.is_open
    breaker.succeeded()
    assert not breaker.is_open
