"""What progress events add up to."""

from bus.positions import Position, TopicPartition
from bus.progress import Behind, ProgressMarks, progress_event, targets_of
from bus.watermarks import Watermark
from hypothesis import given
from hypothesis import strategies as st
from tidemark.pipelines.v1.progress_pb2 import ProgressMade

A, B = TopicPartition("t", 0), TopicPartition("t", 1)
Marks = list[dict[TopicPartition, Watermark]]
marks = st.dictionaries(st.sampled_from([A, B]), st.builds(Watermark, *[st.integers(0, 99)] * 3))


def message(found: dict[TopicPartition, Watermark]) -> ProgressMade:
    return ProgressMade.FromString(progress_event("g", "service", found, 1).data)


@given(st.lists(marks).flatmap(lambda events: st.tuples(st.just(events), st.permutations(events * 2))))
def test_order_and_repeats_of_progress_do_not_matter(told: tuple[Marks, Marks]) -> None:
    events, shuffled = told
    one, other = ProgressMarks(), ProgressMarks()
    for event in events:
        one.merge(message(event))
    for event in shuffled:
        other.merge(message(event))
    assert one.of("g") == other.of("g")


def test_the_same_progress_has_the_same_id_whenever_it_is_told() -> None:
    first = progress_event("g", "service", {A: Watermark(1), B: Watermark(2)}, 1)
    again = progress_event("g", "service", {B: Watermark(2), A: Watermark(1)}, 2)
    other = progress_event("g", "service", {A: Watermark(1), B: Watermark(3)}, 1)
    assert first.id == again.id != other.id


def test_what_is_short_of_its_target_is_told_with_the_distance() -> None:
    progress = ProgressMarks()
    progress.merge(message({A: Watermark(7)}))
    behind = progress.behind("g", {("t", 0): 7, ("t", 1): 3})
    assert behind == [Behind(B, 0, 3)]
    assert str(behind[0]) == "t[1] at 0, 3 short of 3"
    assert progress.behind("another", {A: 1}) == [Behind(A, 0, 1)]


def test_a_target_lies_after_the_last_record_of_each_partition() -> None:
    assert targets_of([Position("t", 0, 4), Position("t", 1, 9), Position("t", 0, 2)]) == {A: 5, B: 10}
