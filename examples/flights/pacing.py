"""How fast event time passes."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Real time, for pacing only: nothing that is computed depends on it."""

    def monotonic_seconds(self) -> float:
        """Seconds from some fixed moment on, never backwards."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""


class SystemClock:
    """The machine's own clock."""

    def monotonic_seconds(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        await asyncio.sleep(seconds)


class Pace:
    """Lets event time pass `speed` times as fast as real time, from the first moment waited for on.

    Without a speed event time passes as fast as whoever waits can go. Whoever falls behind is not held up
    until the two are level again.
    """

    def __init__(self, speed: float | None, clock: Clock) -> None:
        if speed is not None and not speed > 0:
            raise ValueError(f"speed must be above 0, or none for as fast as possible; found {speed}")
        self._speed = speed
        self._clock = clock
        self._origin: tuple[int, float] | None = None

    @property
    def is_free(self) -> bool:
        """Whether nothing is ever waited for."""
        return self._speed is None

    async def until(self, event_time_us: int) -> None:
        """Return when event time has come to `event_time_us`."""
        if self._speed is None:
            return
        if self._origin is None:
            self._origin = event_time_us, self._clock.monotonic_seconds()
        origin_us, origin_seconds = self._origin
        due = origin_seconds + (event_time_us - origin_us) / 1_000_000 / self._speed
        left = due - self._clock.monotonic_seconds()
        if left > 0:
            await self._clock.sleep(left)
