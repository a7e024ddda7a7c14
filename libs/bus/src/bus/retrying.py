"""How failures are retried: decisions as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently.

    Attributes:
        attempts: Calls of the handler with the same records before giving up; what is `Unavailable` does not
            count.
        first_wait_ms: Wait before the second attempt; it doubles each time.
        longest_wait_ms: The most a wait grows to.
    """

    attempts: int = 3
    first_wait_ms: int = 100
    longest_wait_ms: int = 10_000

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first_wait_ms < 0 or self.longest_wait_ms < self.first_wait_ms:
            raise ValueError(f"{self}: needs attempts >= 1 and 0 <= first_wait_ms <= longest_wait_ms")

    def wait_ms(self, failures: int, jitter: float) -> float:
        """Give the wait after so many failures in a row; `jitter` in [0, 1) takes off up to half of it."""
        # The exponent is capped too, for a dependency may be away for days.
        full: int = min(self.longest_wait_ms, self.first_wait_ms << min(failures - 1, 30))
        return full * (1 - 0.5 * jitter)
