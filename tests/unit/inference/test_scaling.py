"""What a stream of events needs: arithmetic over what its processes see, and what is shown of it."""

from collections.abc import Mapping

import pytest
from bus.positions import TopicPartition
from bus.watermarks import Watermark
from hypothesis import given
from hypothesis import strategies as st
from inference.domain.scaling import Pace, Sample, pace_between, recommended_replicas, wanted_replicas
from inference.metrics import Metrics
from inference.stream.pacing import Pacer
from prometheus_client import CollectorRegistry

HERE, THERE = TopicPartition("asked", 0), TopicPartition("asked", 1)


def test_the_pace_is_of_the_partitions_that_are_in_both_samples() -> None:
    before = Sample(10.0, {HERE: 100, THERE: 5}, {HERE: 300, THERE: 5})
    after = Sample(12.0, {HERE: 200}, {HERE: 500})
    assert pace_between(before, after, batch=100) == Pace(50.0, 100.0, 300, is_saturated=True)
    assert pace_between(before, Sample(12.0, {HERE: 290}, {HERE: 300}), batch=100) == Pace(
        95.0, 0.0, 10, is_saturated=False
    )


def test_nothing_is_said_of_no_time_or_no_partition() -> None:
    sample = Sample(10.0, {HERE: 100}, {HERE: 300})
    assert pace_between(sample, sample, batch=1) is None
    assert pace_between(sample, Sample(11.0, {THERE: 1}, {THERE: 1}), batch=1) is None


@pytest.mark.parametrize(
    ("arrived", "lag", "wanted"), [(0, 0, 0.0), (10_000, 0, 1.0), (0, 600_000, 1.0), (25_000, 300_000, 3.0)]
)
def test_what_arrives_and_what_waits_is_wanted_to_be_done_in_time(
    arrived: float, lag: int, wanted: float
) -> None:
    assert wanted_replicas(Pace(0.0, arrived, lag, is_saturated=False), 10_000, 60) == wanted


@pytest.mark.parametrize(
    ("wanted", "recommended"), [([], 1), ([0.0], 1), ([0.8], 1), ([0.81], 2), ([0.8, 0.9], 3), ([9.0], 4)]
)
def test_what_is_recommended_leaves_room_and_gives_each_process_a_partition(
    wanted: list[float], recommended: int
) -> None:
    assert recommended_replicas(wanted, partitions=4) == recommended


@given(st.lists(st.floats(0, 1e6), max_size=8), st.floats(0, 1e6), st.integers(1, 64))
def test_more_work_never_asks_for_fewer_processes(wanted: list[float], more: float, partitions: int) -> None:
    fewer, enough = (recommended_replicas(one, partitions) for one in (wanted, [*wanted, more]))
    assert 1 <= fewer <= enough <= partitions


class Consumer:
    """A consumer that stands where a test says."""

    def __init__(self) -> None:
        self.reached, self.end = 0, 0

    @property
    def watermarks(self) -> Mapping[TopicPartition, Watermark]:
        return {HERE: Watermark(self.reached)}

    def end_offset(self, _where: TopicPartition) -> int | None:
        return self.end


def test_a_backlog_shows_what_a_process_can_do() -> None:
    consumer, registry, clock = Consumer(), CollectorRegistry(), [0.0]
    pacer = Pacer(
        consumer,
        Metrics(registry),
        lambda: clock[0],
        batch=100,
        capacity_per_second=1_000,
        drain_seconds=60,
    )

    def shown(name: str) -> float | None:
        return registry.get_sample_value(f"inference_stream_{name}")

    consumer.end = 60_000
    pacer.look()
    assert (shown("lag_events"), shown("wanted_replicas")) == (60_000, 1.0)
    clock[0], consumer.reached, consumer.end = 5.0, 10_000, 70_000
    pacer.look()
    assert (shown("handled_per_second"), shown("arrived_per_second")) == (2_000, 2_000)
    assert (shown("capacity_per_second"), shown("wanted_replicas")) == (2_000, 1.5)
