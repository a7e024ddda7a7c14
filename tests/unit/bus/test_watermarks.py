"""Watermark arithmetic."""

from bus.positions import TopicPartition
from bus.watermarks import Watermark, low_watermark
from hypothesis import given
from hypothesis import strategies as st

A, B, C = (TopicPartition("t", number) for number in range(3))
steps = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)))


@given(steps)
def test_a_watermark_never_moves_back(moves: list[tuple[int, int, int]]) -> None:
    mark = Watermark(0)
    for move in moves:
        moved = mark.advanced(*move)
        assert (moved.next_offset, moved.recorded_us, moved.event_us) >= (
            mark.next_offset,
            mark.recorded_us,
            mark.event_us,
        )
        mark = moved
    assert mark == Watermark(*(max((move[i] for move in moves), default=0) for i in range(3)))


def test_the_slowest_partition_with_work_left_holds_the_watermark() -> None:
    marks = {A: Watermark(1, 50, 40), B: Watermark(1, 30, 60), C: Watermark(1, 10, 10)}
    assert low_watermark(marks, idle={C}) == (30, 40)


def test_when_all_are_caught_up_everything_has_been_seen() -> None:
    assert low_watermark({A: Watermark(1, 50, 40), B: Watermark(1, 30, 60)}, idle={A, B}) == (50, 60)


def test_a_partition_with_work_that_showed_nothing_yet_holds_everything_back() -> None:
    assert low_watermark({A: Watermark(1, 50, 40), B: Watermark(0)}, idle={A}) == (0, 0)


def test_nothing_is_known_of_no_partitions() -> None:
    assert low_watermark({}, idle=()) == (0, 0)
