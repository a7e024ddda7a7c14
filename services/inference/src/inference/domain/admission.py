"""How much is let in at once: as much as is answered without latency growing, found by measuring it.

The limit is Netflix's gradient (github.com/Netflix/concurrency-limits, `GradientLimit`, `Gradient2Limit`): it
shrinks as latency rises above a multiple of the best that was seen, and grows by the square root of itself
where latency does not. The best is measured anew now and then while little is let in, as BBR does for a
network's round trip (Cardwell et al., "BBR: congestion-based congestion control", ACM Queue 2016): a limit
that looks at its own recent past alone takes the latency of a long overload for the best there is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from inference.domain.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable

_SMOOTHING: Final = 0.5
_LEAST_GRADIENT: Final = 0.5
_LONGEST_ADVICE_S: Final = 5.0
_LEAST_ADVICE_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a limit may be, and how it is found.

    Attributes:
        least: The limit never falls below it.
        most: The limit never rises above it, and begins there: nothing is refused without evidence.
        tolerance: How many times the best latency is no sign of overload.
        unhurried_s: A latency that is no sign of overload whatever the best is.
        window_s: How long is measured before the limit moves.
        window_samples: How many measurements that takes at least.
        probe_s: How long the best latency is believed before it is measured anew.
    """

    least: int = 16
    most: int = 2048
    tolerance: float = 2.0
    unhurried_s: float = 0.005
    window_s: float = 0.1
    window_samples: int = 5
    probe_s: float = 20.0


class GradientLimit:
    """The most to have in hand at once."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._limit = float(bounds.most)
        self._best_s = math.inf
        self._believed_until_s = -math.inf
        self._is_probing = False
        self._drained_s: float | None = None
        self._ends_s = -math.inf
        self._samples = 0
        self._total_s = 0.0
        self._lowest_s = math.inf
        self._most_in_hand = 0

    @property
    def value(self) -> int:
        """How much may be in hand now."""
        return self._bounds.least if self._is_probing else int(self._limit)

    def learn(self, latency_s: float, in_hand: int, now_s: float) -> None:
        """Take a measurement: how long something took, and how much was in hand when it ended."""
        if self._is_probing and not self._is_drained(latency_s, in_hand, now_s):
            return
        if self._ends_s == -math.inf:
            self._begin(now_s)
        self._samples += 1
        self._total_s += latency_s
        self._lowest_s = min(self._lowest_s, latency_s)
        self._most_in_hand = max(self._most_in_hand, in_hand)
        if now_s >= self._ends_s and self._samples >= self._bounds.window_samples:
            self._move(now_s)
            self._begin(now_s)

    def _is_drained(self, latency_s: float, in_hand: int, now_s: float) -> bool:
        """Whether what was measured came when little was in hand, and not before."""
        if self._drained_s is None and in_hand <= self._bounds.least:
            self._drained_s = now_s
            self._begin(now_s)
        return self._drained_s is not None and now_s - latency_s >= self._drained_s

    def _begin(self, now_s: float) -> None:
        self._ends_s = now_s + self._bounds.window_s
        self._samples = 0
        self._total_s = 0.0
        self._lowest_s = math.inf
        self._most_in_hand = 0

    def _move(self, now_s: float) -> None:
        if self._is_probing:
            self._is_probing = False
            self._best_s, self._believed_until_s = self._lowest_s, now_s + self._bounds.probe_s
            return
        if self._lowest_s < self._best_s:
            self._best_s, self._believed_until_s = self._lowest_s, now_s + self._bounds.probe_s
        if self._most_in_hand < self._limit / 2:
            # Little was asked: latency says nothing about a limit that nobody reaches.
            return
        self._follow(self._total_s / self._samples)
        if now_s >= self._believed_until_s:
            self._is_probing, self._drained_s = True, None

    def _follow(self, latency_s: float) -> None:
        bounds = self._bounds
        calm_s = max(bounds.tolerance * self._best_s, bounds.unhurried_s)
        gradient = min(1.0, max(_LEAST_GRADIENT, calm_s / latency_s))
        wanted = self._limit * gradient + math.sqrt(self._limit)
        moved = self._limit + _SMOOTHING * (wanted - self._limit)
        self._limit = min(float(bounds.most), max(float(bounds.least), moved))


class Admission:
    """Says who is let in, and to whom is not, when to come again.

    Args:
        bounds: Of the limit.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._limit = GradientLimit(bounds)
        self._each_s = 0.0
        self._next_s = -math.inf

    @property
    def limit(self) -> int:
        """How much may be in hand now."""
        return self._limit.value

    def another(self) -> Admission:
        """One that has measured nothing yet."""
        return Admission(self._bounds)

    def check(self, in_hand: int, newcomers: int, now_s: Callable[[], float]) -> None:
        """Let newcomers in where less than the limit is in hand: a batch may pass it, once.

        Raises:
            Overloaded: There is no room.
        """
        limit = self._limit.value
        if in_hand >= limit:
            raise self.refusal(
                f"{in_hand} requests are in hand, the limit is {limit} now", newcomers, now_s()
            )

    def refusal(self, why: str, newcomers: int, now_s: float) -> Overloaded:
        """Refuse, with a time to come again that is nobody else's.

        Who is refused is given the next moments that are not given away, at the pace at which requests are
        answered: if all come when they were told to, they come as fast as they can be served.
        """
        self._next_s = max(self._next_s, now_s + _LEAST_ADVICE_S) + newcomers * self._each_s
        self._next_s = min(self._next_s, now_s + _LONGEST_ADVICE_S)
        return Overloaded(why, self._next_s - now_s)

    def learn(self, *, answered: int, took_s: float, latency_s: float, in_hand: int, now_s: float) -> None:
        """Take note of a batch.

        Args:
            answered: How many were in it.
            took_s: From its beginning to its end.
            latency_s: From the coming of its first to its end.
            in_hand: How many wait or were in it.
            now_s: On the stopwatch.
        """
        if answered:
            self._each_s += 0.1 * (took_s / answered - self._each_s)
        self._limit.learn(latency_s, in_hand, now_s)
