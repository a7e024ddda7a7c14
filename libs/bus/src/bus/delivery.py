"""Handing a batch to its handler until it is done.

Failures are retried, what is away is waited for, and the record that poisons a batch is found.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from bus.dead_letters import HANDLER_FAILED
from bus.errors import Unavailable
from bus.received import Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.received import Handler, Received
    from bus.retrying import Retry

_log = logging.getLogger(__name__)


class Patience(Protocol):
    """How the runner waits between attempts."""

    async def wait(self, failures: int, reason: str | None) -> None:
        """Wait after so many failures in a row; with a reason, not being ready meanwhile.

        Raises:
            Interrupted: the batch is to be abandoned, for the partitions move or the process stops.
        """


class Interrupted(Exception):
    """Waiting ended early: whoever reads the partitions next gets the batch again."""


class Delivery:
    """Calls a handler so that every record ends in an effect or a rejection."""

    def __init__(self, handler: Handler, retry: Retry, patience: Patience) -> None:
        self._handler = handler
        self._retry = retry
        self._patience = patience

    async def deliver(self, batch: Sequence[Received]) -> list[Rejection]:
        """Return when each record has had its effect or is rejected.

        A batch that keeps failing is halved, in order, until the records that fail alone are found: those are
        rejected.

        Raises:
            Interrupted: the batch was given up; some of it may have had its effect.
        """
        try:
            return await self._attempt(batch)
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001 - a handler may raise anything
            if len(batch) == 1:
                _log.exception("the handler failed for good", extra={"position": _name(batch[0])})
                return [Rejection(batch[0], HANDLER_FAILED, f"{type(error).__name__}: {error}")]
            _log.warning("the handler failed on %d records, halving them: %r", len(batch), error)
            middle = len(batch) // 2
            return [*await self.deliver(batch[:middle]), *await self.deliver(batch[middle:])]

    async def _attempt(self, batch: Sequence[Received]) -> list[Rejection]:
        failures = away = 0
        while True:
            try:
                return list(await self._handler(batch) or ())
            except Unavailable as error:
                away += 1
                await self._patience.wait(away, str(error))
            except Exception:
                failures += 1
                if failures >= self._retry.attempts:
                    raise
                await self._patience.wait(failures, None)


def _name(received: Received) -> str:
    return f"{received.topic}[{received.partition}]@{received.offset}"
