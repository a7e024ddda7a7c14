"""Calls of about the same moment, sent as one batch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemark_client.batches import MAX_ROWS, Batch
from tidemark_client.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest

    from tidemark_client.batches import Answer
    from tidemark_client.scores import Score

    Send = Callable[[Batch, float], Awaitable[list[Answer]]]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    message: ScoreRequest
    answer: asyncio.Future[Score]
    ends_at_s: float


class Coalescer:
    """Gathers calls for a moment after the first, and sends them together.

    Args:
        send: Asks for a batch's answers within so many seconds.
        window_s: How long the first waits for others; 0 for those of the same turn of the loop.
    """

    def __init__(self, send: Send, window_s: float) -> None:
        self._send = send
        self._window_s = window_s
        self._waiting: list[_Waiting] = []
        self._timer: asyncio.Handle | None = None
        self._sending: set[asyncio.Task[None]] = set()

    async def score(self, message: ScoreRequest, timeout_s: float) -> Score:
        """Return a request's score; one whose caller gives up does not disturb the others.

        Raises:
            TidemarkError: Why it has none.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(message, loop.create_future(), loop.time() + timeout_s)
        self._waiting.append(waiting)
        if len(self._waiting) == MAX_ROWS:
            self._flush()
        elif self._timer is None:
            self._timer = loop.call_later(self._window_s, self._flush)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiting.answer
        except TimeoutError:
            raise DeadlineExceeded(
                f"Score was not answered within {timeout_s:g} s: allow more with timeout_s"
            ) from None

    async def close(self) -> None:
        """Send what waits, and return when it is answered."""
        self._flush()
        await asyncio.gather(*self._sending)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        together = [one for one in self._waiting if not one.answer.done()]
        self._waiting = []
        if together:
            sending = asyncio.get_running_loop().create_task(self._answer(together))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    async def _answer(self, together: list[_Waiting]) -> None:
        left_s = max(one.ends_at_s for one in together) - asyncio.get_running_loop().time()
        answers: Sequence[Score | Exception]
        try:
            answers = await self._send(Batch([one.message for one in together]), max(left_s, 0.001))
        except Exception as error:  # noqa: BLE001 - told to each who waits
            answers = [error] * len(together)
        for one, answer in zip(together, answers, strict=True):
            if one.answer.done():
                continue
            if isinstance(answer, Exception):
                one.answer.set_exception(answer)
            else:
                one.answer.set_result(answer)
