"""As `streaming`, for an event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import grpc
from tidemark.scoring.v1.scoring_service_pb2 import ScoreStreamRequest, ScoreStreamResponse

from tidemark_client.streaming import Window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from tidemark_client.batches import Answer, Batch
    from tidemark_client.calling import Call
    from tidemark_client.connecting import Metadata

    Method = grpc.aio.StreamStreamMultiCallable[ScoreStreamRequest, ScoreStreamResponse]

_LOST_TO_A_WRITE: Final = "execute_batch"
"""A write to a stream that the server has just ended takes the place of the status with which it did so."""


class AsyncStream:
    """A stream that is open."""

    def __init__(self, method: Method, metadata: Metadata | None) -> None:
        self._sent: asyncio.Queue[ScoreStreamRequest | None] = asyncio.Queue()
        self._call = method(self._requests(), metadata=metadata)

    def send(self, batches: Iterable[Batch]) -> None:
        """Send batches that have something to ask; never waits."""
        for batch in batches:
            if batch.messages:
                self._sent.put_nowait(ScoreStreamRequest(requests=batch.messages))

    async def receive(self, within_s: float) -> ScoreStreamResponse | None:
        """Return the next answer, or None where the server ended the stream.

        Raises:
            TimeoutError: None came in time; the stream is of no more use.
            grpc.RpcError: The stream broke.
        """
        try:
            async with asyncio.timeout(within_s):
                reply = await self._call.read()
        except grpc.aio.AioRpcError as failed:
            if _LOST_TO_A_WRITE in (failed.debug_error_string() or ""):
                return None
            raise
        return reply if isinstance(reply, ScoreStreamResponse) else None

    def close(self) -> None:
        """End it, whatever it was doing."""
        self._sent.put_nowait(None)
        self._call.cancel()

    async def _requests(self) -> AsyncIterator[ScoreStreamRequest]:
        # Sent by a task of gRPC's: a write may wait for the server, who may wait for us to read.
        while (message := await self._sent.get()) is not None:
            yield message


class AsyncConversation:
    """See `streaming.Conversation`."""

    def __init__(
        self, open_stream: Callable[[], AsyncStream], begin: Callable[[], Call], in_flight: int
    ) -> None:
        self._open_stream = open_stream
        self._begin = begin
        self._window = Window(in_flight)

    async def answers(self, batches: AsyncIterator[Batch]) -> AsyncIterator[Answer]:
        """Yield every row's answer, in order.

        Raises:
            TidemarkError: The stream broke, and cannot be opened again.
        """
        window, self._stream = self._window, self._open_stream()
        try:
            while True:
                is_all = not await self._fill(batches)
                for answer in window.settled():
                    yield answer
                if window.unanswered:
                    for answer in window.answered(await self._reply()):
                        yield answer
                elif is_all:
                    return
        finally:
            self._stream.close()

    async def _fill(self, batches: AsyncIterator[Batch]) -> bool:
        """Send as many as there is room for; gives False once there are no more."""
        while self._window.has_room:
            batch = await anext(batches, None)
            if batch is None:
                return False
            self._window.unanswered.append(batch)
            self._stream.send([batch])
        return True

    async def _reply(self) -> ScoreStreamResponse:
        call = self._begin()
        while True:
            try:
                reply = await self._stream.receive(call.left_s)
            except TimeoutError:
                raise call.late() from None
            except grpc.RpcError as failed:
                wait_s = call.wait_after(failed)
            else:
                if reply is not None:
                    call.answered()
                    return reply
                wait_s = call.wait_after_error(call.ended())
            await asyncio.sleep(wait_s)
            self._stream.close()
            self._stream = self._open_stream()
            self._stream.send(self._window.unanswered)
