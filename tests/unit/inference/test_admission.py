"""The limit finds what a server can do, holds it through an overload, and lets go of it afterwards."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from inference.domain.admission import Admission, Bounds, GradientLimit
from inference.domain.errors import Overloaded


@dataclass
class Server:
    """So many workers, each a request at a time, behind an admission; time is a number."""

    workers: int
    service_s: float
    bounds: Bounds = field(default_factory=Bounds)
    now_s: float = 0.0
    in_hand: int = 0
    latencies: list[tuple[float, float]] = field(default_factory=list)
    refused: list[Overloaded] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.admission = Admission(self.bounds)
        self._free_at = [0.0] * self.workers
        self._ends: list[tuple[float, float]] = []

    def offer(self, per_second: float, for_s: float) -> None:
        """Requests at even distances, whatever the server answers."""
        until_s = self.now_s + for_s
        while self.now_s < until_s:
            self.now_s += 1 / per_second
            self._answer()
            self._arrive()

    def answered_per_second(self, last_s: float) -> float:
        return len([1 for at_s, _ in self.latencies if at_s > self.now_s - last_s]) / last_s

    def latency_s(self, last_s: float) -> float:
        recent = sorted(latency_s for at_s, latency_s in self.latencies if at_s > self.now_s - last_s)
        return recent[len(recent) * 99 // 100]

    def _arrive(self) -> None:
        try:
            self.admission.check(self.in_hand, 1, lambda: self.now_s)
        except Overloaded as error:
            self.refused.append(error)
            return
        starts_s = max(self.now_s, heapq.heappop(self._free_at))
        heapq.heappush(self._free_at, starts_s + self.service_s)
        heapq.heappush(self._ends, (starts_s + self.service_s, self.now_s))
        self.in_hand += 1

    def _answer(self) -> None:
        while self._ends and self._ends[0][0] <= self.now_s:
            ended_s, came_s = heapq.heappop(self._ends)
            self.latencies.append((ended_s, ended_s - came_s))
            self.admission.learn(
                answered=1,
                took_s=self.service_s / self.workers,
                latency_s=ended_s - came_s,
                in_hand=self.in_hand,
                now_s=ended_s,
            )
            self.in_hand -= 1


@pytest.mark.parametrize(("workers", "service_s"), [(1, 0.001), (32, 0.016), (100, 0.05)])
def test_three_times_what_it_can_do_gets_what_it_can_do(workers: int, service_s: float) -> None:
    server = Server(workers, service_s)
    capacity = workers / service_s
    server.offer(3 * capacity, 6.0)
    assert server.answered_per_second(3.0) >= 0.97 * capacity
    # Twice the best, or what is calm anyway, and the square root of the limit beside it.
    assert server.latency_s(3.0) <= 3 * max(server.service_s, server.bounds.unhurried_s) + 16 / capacity


def test_without_a_limit_the_same_overload_would_fill_the_queue() -> None:
    server = Server(1, 0.001, Bounds(least=2048))
    server.offer(3000.0, 10.0)
    assert server.latency_s(5.0) > 2.0


def test_a_long_overload_is_not_taken_for_the_best_there_is() -> None:
    server = Server(16, 0.016, Bounds(probe_s=2.0))
    server.offer(3000.0, 20.0)
    assert server.latency_s(10.0) <= 3 * server.service_s
    assert server.answered_per_second(10.0) >= 0.95 * 1000


def test_a_server_that_becomes_faster_is_used() -> None:
    server = Server(4, 0.02)
    server.offer(1000.0, 10.0)
    server.service_s = 0.004
    server.offer(3000.0, 10.0)
    assert server.answered_per_second(3.0) >= 0.95 * 1000


def test_a_server_that_becomes_slower_is_not_swamped() -> None:
    server = Server(4, 0.004, Bounds(least=4, probe_s=2.0))
    server.offer(3000.0, 4.0)
    server.service_s = 0.02
    server.offer(1000.0, 20.0)
    assert server.answered_per_second(5.0) >= 0.95 * 200
    assert server.latency_s(5.0) <= 0.1


def test_nobody_is_refused_below_what_it_can_do() -> None:
    server = Server(8, 0.008)
    server.offer(900.0, 10.0)
    assert server.refused == []


def test_after_an_overload_nobody_is_refused() -> None:
    server = Server(8, 0.008)
    server.offer(3000.0, 5.0)
    server.offer(500.0, 1.0)
    server.refused.clear()
    server.offer(900.0, 10.0)
    assert server.refused == []


def test_a_latency_that_is_calm_is_no_reason_to_refuse() -> None:
    limit = GradientLimit(Bounds(unhurried_s=0.02))
    for number in range(1, 200):
        limit.learn(0.0005 if number < 10 else 0.019, in_hand=2048, now_s=number * 0.05)
    assert limit.value == Bounds().most


def test_a_latency_of_few_says_nothing_about_the_limit() -> None:
    limit = GradientLimit(Bounds())
    for number in range(1, 200):
        limit.learn(0.0005 if number < 10 else 1.0, in_hand=5, now_s=number * 0.05)
    assert limit.value == Bounds().most


def test_who_is_refused_is_told_a_time_of_its_own_at_the_pace_of_answers() -> None:
    admission = Admission(Bounds())
    _paced(admission, each_s=0.01)
    told = [admission.refusal("full", 1, 10.0).retry_after_s for _ in range(5)]
    apart = [later - earlier for earlier, later in pairwise(told)]
    assert apart == pytest.approx([0.01] * 4, rel=0.01)
    assert told[0] > 0


def test_nobody_is_sent_away_for_long() -> None:
    admission = Admission(Bounds())
    _paced(admission, each_s=0.01)
    assert max(admission.refusal("full", 100, 10.0).retry_after_s for _ in range(20)) == 5.0


def test_a_batch_is_let_in_where_anything_is() -> None:
    admission = Admission(Bounds(least=4, most=4))
    admission.check(3, 1000, _at(0.0))
    with pytest.raises(Overloaded, match="4 requests are in hand, the limit is 4 now: retry elsewhere, or"):
        admission.check(4, 1, _at(0.0))


def _paced(admission: Admission, *, each_s: float) -> None:
    for number in range(200):
        admission.learn(answered=1, took_s=each_s, latency_s=each_s, in_hand=1, now_s=number * each_s)


def _at(now_s: float) -> Callable[[], float]:
    return lambda: now_s
