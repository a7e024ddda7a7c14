"""When to ask again: budgets, backoff and deadlines. Pure: time and chance are arguments."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemark_client.errors import AskLater, TidemarkError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Retries:
    """How a client asks again where that can help: when nobody was ready, or the server was overloaded.

    Attributes:
        most_attempts: Of one call, the first included; 1 never asks again.
        first_backoff_s: The n-th wait is drawn from 0 to first_backoff_s * 2**n ("full jitter": M. Brooker,
            "Exponential Backoff And Jitter", AWS, 2015).
        longest_backoff_s: What that doubles up to.
        budget_ratio: Retries that a successful call earns.
        budget_burst: Retries that a client begins with, and saves at most.
    """

    most_attempts: int = 4
    first_backoff_s: float = 0.02
    longest_backoff_s: float = 0.5
    budget_ratio: float = 0.1
    budget_burst: float = 10

    def __post_init__(self) -> None:
        if self.most_attempts < 1:
            raise ValueError(f"most_attempts is {self.most_attempts}: it counts the first, so at least 1")
        if min(self.first_backoff_s, self.longest_backoff_s, self.budget_ratio, self.budget_burst) < 0:
            raise ValueError("backoffs and budgets must be 0 or more")

    def backoff_s(self, retry: int, chance: float) -> float:
        """Return how long to wait before a retry, counted from 0.

        Args:
            retry: Which.
            chance: From 0 to 1, uniformly drawn.
        """
        return chance * min(self.longest_backoff_s, self.first_backoff_s * 2.0**retry)


class Budget:
    """How many retries a client may still send: when a server is down, retries must not double its load.

    A token bucket: a retry takes a token, a success earns a part of one, as in gRPC's retry throttling
    (proposal A6). At any time, retries so far <= burst + ratio * successes so far. Threads may share it.
    """

    def __init__(self, retries: Retries) -> None:
        self._ratio = retries.budget_ratio
        self._burst = retries.budget_burst
        self._tokens = retries.budget_burst
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take a retry; False where there is none."""
        with self._lock:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def earn(self) -> None:
        """Note a success."""
        with self._lock:
            self._tokens = min(self._burst, self._tokens + self._ratio)


class Attempts:
    """The attempts of one call, which share its deadline.

    Args:
        retries: How to ask again.
        budget: The client's.
        ends_at_s: The call's deadline, by the clock whose time the methods are given.
        chance: Draws from 0 to 1, uniformly.
    """

    def __init__(
        self, retries: Retries, budget: Budget, ends_at_s: float, chance: Callable[[], float]
    ) -> None:
        self._retries = retries
        self._budget = budget
        self._ends_at_s = ends_at_s
        self._chance = chance
        self.count = 1

    def left_s(self, now_s: float) -> float:
        """Return the time until the deadline, 0 if it has passed."""
        return max(0.0, self._ends_at_s - now_s)

    def succeeded(self) -> None:
        """Note that the last attempt was answered."""
        self._budget.earn()

    def wait_after(self, error: TidemarkError, now_s: float) -> float | None:
        """Return how long to wait before the next attempt, in seconds; None where there is to be none.

        A server's advice is a lower bound. Nobody waits for what could only come after the deadline.
        """
        if not isinstance(error, AskLater) or self.count >= self._retries.most_attempts:
            return None
        wait_s = (error.retry_after_s or 0.0) + self._retries.backoff_s(self.count - 1, self._chance())
        if now_s + wait_s >= self._ends_at_s or not self._budget.take():
            return None
        self.count += 1
        return wait_s
