"""Waiting for what is away, without losing the group, until it returns or there is a reason to give up."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Final, TypeVar

from bus.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bus.metrics import ConsumerMetrics
    from bus.retrying import Retry

_log = logging.getLogger(__name__)
_JITTER: Final = secrets.SystemRandom().random
_DEPENDENCY: Final = "dependency"
_T = TypeVar("_T")


class Interrupted(Exception):
    """Waiting ended early: the batch is abandoned, and whoever reads the partitions next gets it again."""


class Readiness:
    """The reasons why a runner is not ready."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def lost(self, what: str, reason: str) -> None:
        """Say that something is missing, and why."""
        self._reasons[what] = reason

    def regained(self, what: str) -> None:
        """Say that it is missing no more."""
        self._reasons.pop(what, None)

    @property
    def reason(self) -> str | None:
        """What is missing, in words; None when nothing is."""
        return "; ".join(self._reasons.values()) or None


class Patience:
    """Waits between attempts. `interrupt` ends every wait, for the partitions move or the process stops."""

    def __init__(
        self,
        retry: Retry,
        readiness: Readiness,
        keep_alive: Callable[[], Awaitable[None]],
        metrics: ConsumerMetrics,
        jitter: Callable[[], float] = _JITTER,
    ) -> None:
        self.interrupt = asyncio.Event()
        self._retry = retry
        self._readiness = readiness
        self._keep_alive = keep_alive
        self._metrics = metrics
        self._jitter = jitter

    async def until_available(self, step: Callable[[], Awaitable[_T]]) -> _T:
        """Repeat a step until nothing it needs is away; return what it gives.

        Raises:
            Interrupted: the step failed and there is no time to repeat it.
        """
        failures = 0
        while True:
            try:
                result = await step()
            except Unavailable as error:
                failures += 1
                await self.wait_for_dependency(failures, str(error))
            else:
                self._readiness.regained(_DEPENDENCY)
                return result

    async def wait_for_dependency(self, failures: int, reason: str) -> None:
        """Wait, not ready meanwhile, after so many failures in a row.

        Raises:
            Interrupted: before or during the wait.
        """
        self._readiness.lost(_DEPENDENCY, reason)
        self._metrics.waits.inc()
        # The first, second, fourth, eighth ... failure: what stays away for a night must not fill a disk.
        if failures & (failures - 1) == 0:
            _log.warning("waiting for a dependency, %d attempts failed: %s", failures, reason)
        await self.wait(failures)

    def available(self) -> None:
        """Say that the dependency answered."""
        self._readiness.regained(_DEPENDENCY)

    async def wait(self, failures: int) -> None:
        """Wait after so many failures in a row.

        Raises:
            Interrupted: before or during the wait.
        """
        if not self.interrupt.is_set():
            await self.rest(failures)
        if self.interrupt.is_set():
            self._readiness.regained(_DEPENDENCY)
            raise Interrupted
        await self._keep_alive()

    async def rest(self, failures: int) -> None:
        """Wait as long as so many failures in a row ask for, or until interrupted."""
        try:
            async with asyncio.timeout(self._retry.wait_ms(failures, self._jitter()) / 1000):
                await self.interrupt.wait()
        except TimeoutError:
            return
