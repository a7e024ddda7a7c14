"""Handing a batch to its handler until it is done.

Failures are retried, what is away is waited for, and the record that poisons a batch is found.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bus.dead_letters import HANDLER_FAILED
from bus.errors import Unavailable
from bus.patience import Interrupted
from bus.received import Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.metrics import ConsumerMetrics
    from bus.patience import Patience
    from bus.received import Handler, Received
    from bus.transactions import Answering, Made

_log = logging.getLogger(__name__)


class Delivery:
    """Calls a handler so that every record ends in an effect or a rejection."""

    def __init__(
        self, handler: Handler | Answering, attempts: int, patience: Patience, metrics: ConsumerMetrics
    ) -> None:
        self._handler = handler
        self._attempts = attempts
        self._patience = patience
        self._metrics = metrics

    async def deliver(self, batch: Sequence[Received]) -> list[Made | Rejection]:
        """Return what the handler answers, with the rejections of what it fails on, in order.

        A batch that keeps failing is halved, in order, until the records that fail alone are found: those are
        rejected. One poisonous record in a thousand costs some twenty calls so, and not a thousand.

        Raises:
            Interrupted: the batch was given up; some of it may have had its effect.
        """
        try:
            return await self._attempt(batch)
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001 - a handler may raise anything
            if len(batch) == 1:
                return [self._give_up(batch[0], error)]
            _log.warning("the handler failed on %d records, trying them in halves: %r", len(batch), error)
        middle = len(batch) // 2
        return [*await self.deliver(batch[:middle]), *await self.deliver(batch[middle:])]

    async def _attempt(self, batch: Sequence[Received]) -> list[Made | Rejection]:
        failures = away = 0
        while True:
            try:
                with self._metrics.handler_seconds.time():
                    answers = await self._handler(batch)
            except Unavailable as error:
                away += 1
                await self._patience.wait_for_dependency(away, str(error))
            except Exception:
                failures += 1
                self._metrics.handler_failures.inc()
                if failures >= self._attempts:
                    raise
                await self._patience.wait(failures)
            else:
                self._patience.available()
                return list(answers or ())

    def _give_up(self, received: Received, error: Exception) -> Rejection:
        where = f"{received.topic}[{received.partition}]@{received.offset}"
        _log.error("the handler fails on %s for good", where, exc_info=error)
        return Rejection(received, HANDLER_FAILED, f"{type(error).__name__}: {error}")
