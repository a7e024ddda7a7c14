"""Streams of batches: a stream has few batches here at a time, so that a slow reader holds little."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Self

import grpc
from tidemark.scoring.v1 import scoring_service_pb2 as pb

from inference.domain.errors import InvalidRequest, Overloaded, ScoringError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

    Results = RepeatedCompositeFieldContainer[pb.ScoreResult]
    Answer = Callable[[Sequence[pb.ScoreRequest], Results, Any], Awaitable[None]]
    Fail = Callable[[Any, ScoringError], Awaitable[None]]

NO_MESSAGE: Final = "is no message of the type that the method takes"
DRAINING: Final = "this server stops: open the stream again and send what was not answered"


class BatchStreams:
    """Answers streams of batches, each in order, until it is told to drain.

    A stream has two batches here at most: one that is scored or whose answer is being written, and one read
    ahead. An answer is written when the transport takes it, which the caller's flow control decides; until
    then no more is read, so a caller that never reads stops being read from.

    Args:
        answer: Scores one batch, and writes its results.
        fail: Ends a call with an error's status.
    """

    def __init__(self, answer: Answer, fail: Fail) -> None:
        self._answer = answer
        self._fail = fail
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Let every stream answer what was received, and end it then with UNAVAILABLE."""
        self._draining.set()

    async def serve(self, context: Any) -> None:
        """Answer one stream to its end."""
        try:
            with _Reading(context, self._draining) as reading:
                await self._serve(reading, context)
        except ScoringError as error:
            await self._fail(context, error)
        except grpc.aio.InternalError:
            # The transport takes no more: the caller has gone.
            return
        if self._draining.is_set() and not reading.is_at_end:
            await context.abort(grpc.StatusCode.UNAVAILABLE, DRAINING)

    async def _serve(self, reading: _Reading, context: Any) -> None:
        number = 0
        while (batch := await reading.next()) is not None:
            await context.write(await self._response(batch, number, context))
            number += 1

    async def _response(
        self, batch: pb.ScoreStreamRequest, number: int, context: Any
    ) -> pb.ScoreStreamResponse:
        """Score one batch; where there is no room it waits for some, and with it whoever sends."""
        response = pb.ScoreStreamResponse()
        while True:
            try:
                await self._answer(batch.requests, response.results, context)
            except Overloaded as error:
                await asyncio.sleep(error.retry_after_s)
            except InvalidRequest as error:
                raise error.within(f"batch {number}") from error
            else:
                return response


class _Reading:
    """Reads a stream one batch ahead, until its end or until the server drains."""

    def __init__(self, context: Any, draining: asyncio.Event) -> None:
        self._context = context
        self._draining = draining
        self._taken = 0
        self.is_at_end = False

    def __enter__(self) -> Self:
        self._told = asyncio.ensure_future(self._draining.wait())
        self._ahead: asyncio.Future[Any] | None = asyncio.ensure_future(self._context.read())
        return self

    def __exit__(self, *_: object) -> None:
        self._told.cancel()
        if self._ahead is not None:
            self._ahead.cancel()

    async def next(self) -> pb.ScoreStreamRequest | None:
        """Give the next batch; None at the end, or when the server drains and nothing was received.

        Raises:
            InvalidRequest: What came is no message.
        """
        if self._ahead is None:
            return None
        await asyncio.wait((self._ahead, self._told), return_when=asyncio.FIRST_COMPLETED)
        if not self._ahead.done():
            return None
        batch = self._ahead.result()
        if batch is None:
            raise InvalidRequest(f"batch {self._taken}", NO_MESSAGE)
        self._taken += 1
        self.is_at_end = batch is grpc.aio.EOF
        reads_on = not (self.is_at_end or self._draining.is_set())
        self._ahead = asyncio.ensure_future(self._context.read()) if reads_on else None
        return None if self.is_at_end else batch
