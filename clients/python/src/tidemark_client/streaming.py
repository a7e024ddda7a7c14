"""Batches over one stream that is opened again when it breaks."""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING

import grpc
from tidemark.scoring.v1.scoring_service_pb2 import ScoreStreamRequest, ScoreStreamResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tidemark_client.batches import Answer, Batch
    from tidemark_client.calling import Call
    from tidemark_client.connecting import Metadata

    Method = grpc.StreamStreamMultiCallable[ScoreStreamRequest, ScoreStreamResponse]


class Window:
    """Batches whose answers are not here yet, oldest first; at most so many."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.unanswered: deque[Batch] = deque()

    @property
    def has_room(self) -> bool:
        """Whether another batch may be sent."""
        return len(self.unanswered) < self._size

    def settled(self) -> Iterator[Answer]:
        """Yield the answers of the oldest batches as long as they have nothing to ask, and forget them."""
        while self.unanswered and not self.unanswered[0].messages:
            yield from self.unanswered.popleft().answered([])

    def answered(self, reply: ScoreStreamResponse) -> list[Answer]:
        """Return the answers of the oldest batch, and forget it."""
        return self.unanswered.popleft().answered(reply.results)


class Stream:
    """A stream that is open, for one thread."""

    def __init__(self, method: Method, metadata: Metadata | None) -> None:
        self._sent: SimpleQueue[ScoreStreamRequest | None] = SimpleQueue()
        self._replies = method(iter(self._sent.get, None), metadata=metadata)

    def send(self, batches: Iterable[Batch]) -> None:
        """Send batches that have something to ask; never waits."""
        for batch in batches:
            if batch.messages:
                self._sent.put(ScoreStreamRequest(requests=batch.messages))

    def receive(self, within_s: float) -> ScoreStreamResponse | None:
        """Return the next answer, or None where the server ended the stream.

        Raises:
            TimeoutError: None came in time; the stream is of no more use.
            grpc.RpcError: The stream broke.
        """
        passed = threading.Event()

        def give_up() -> None:
            passed.set()
            self._replies.cancel()

        alarm = threading.Timer(within_s, give_up)
        alarm.daemon = True
        alarm.start()
        try:
            return next(self._replies, None)
        except grpc.RpcError:
            if passed.is_set():
                raise TimeoutError from None
            raise
        finally:
            alarm.cancel()

    def close(self) -> None:
        """End it, whatever it was doing."""
        self._sent.put(None)
        self._replies.cancel()


class Conversation:
    """Streams, one after the other: where one breaks, the next is asked what was not answered.

    Args:
        open_stream: Opens a stream.
        begin: Begins the wait for an answer, with its deadline and retries.
        in_flight: Batches that are asked at once, at most.
    """

    def __init__(self, open_stream: Callable[[], Stream], begin: Callable[[], Call], in_flight: int) -> None:
        self._open_stream = open_stream
        self._begin = begin
        self._window = Window(in_flight)

    def answers(self, batches: Iterator[Batch]) -> Iterator[Answer]:
        """Yield every row's answer, in order.

        Raises:
            TidemarkError: The stream broke, and cannot be opened again.
        """
        window, self._stream = self._window, self._open_stream()
        try:
            while True:
                is_all = not self._fill(batches)
                yield from window.settled()
                if window.unanswered:
                    yield from window.answered(self._reply())
                elif is_all:
                    return
        finally:
            self._stream.close()

    def _fill(self, batches: Iterator[Batch]) -> bool:
        """Send as many as there is room for; gives False once there are no more."""
        while self._window.has_room:
            batch = next(batches, None)
            if batch is None:
                return False
            self._window.unanswered.append(batch)
            self._stream.send([batch])
        return True

    def _reply(self) -> ScoreStreamResponse:
        call = self._begin()
        while True:
            try:
                reply = self._stream.receive(call.left_s)
            except TimeoutError:
                raise call.late() from None
            except grpc.RpcError as failed:
                wait_s = call.wait_after(failed)
            else:
                if reply is not None:
                    call.answered()
                    return reply
                wait_s = call.wait_after_error(call.ended())
            time.sleep(wait_s)
            self._stream.close()
            self._stream = self._open_stream()
            self._stream.send(self._window.unanswered)
