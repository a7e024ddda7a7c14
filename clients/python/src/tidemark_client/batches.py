"""Rows that travel together and are answered each for itself."""

from __future__ import annotations

from collections.abc import AsyncIterable
from itertools import islice
from typing import TYPE_CHECKING, Final

from tidemark_client.errors import InvalidRequest, TidemarkError, UnreadableReply
from tidemark_client.scores import Score
from tidemark_client.statuses import error_of_row
from tidemark_client.wire import MOST_BYTES, score_of, score_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

    from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest, ScoreResult

    from tidemark_client.requests import ScoringRequest

Answer = Score | TidemarkError
"""What a row gets: its score, or why it has none. Told, not raised: one row's error is not another's."""
MAX_ROWS: Final = 1_000
BATCH_ROWS: Final = 250
"""Of a batch, if the caller does not say: times `IN_FLIGHT`, half of a server's queue."""
IN_FLIGHT: Final = 4
OUTCOMES_AT_ONCE: Final = 1_000


class Batch:
    """Rows in order: messages to send, and the errors of requests that cannot be sent."""

    def __init__(self, rows: Sequence[ScoreRequest | InvalidRequest]) -> None:
        self._rows = rows
        self.messages = [row for row in rows if not isinstance(row, InvalidRequest)]

    def answered(self, results: Sequence[ScoreResult]) -> list[Answer]:
        """Return each row's answer.

        Raises:
            UnreadableReply: There is not one result a message.
        """
        if len(results) != len(self.messages):
            raise UnreadableReply(f"{len(self.messages)} requests were answered by {len(results)} results")
        replies = iter(results)
        return [row if isinstance(row, InvalidRequest) else _answer(row, next(replies)) for row in self._rows]

    def failed(self, error: TidemarkError) -> list[Answer]:
        """Return each row's answer where the whole batch had none."""
        return [
            row if isinstance(row, InvalidRequest) else error.about(row.prediction_id) for row in self._rows
        ]


def check_sizes(batch_rows: int, in_flight: int) -> None:
    """Refuse batches that no server takes, and asking none at once.

    Raises:
        ValueError: Saying which of the two is wrong.
    """
    if not 1 <= batch_rows <= MAX_ROWS:
        raise ValueError(f"batch_rows is {batch_rows}: 1 to {MAX_ROWS:,} are answered at once")
    if in_flight < 1:
        raise ValueError(f"in_flight is {in_flight}: it must be at least 1")


def rows_of(
    requests: Iterable[ScoringRequest], new_id: Callable[[], str]
) -> Iterator[ScoreRequest | InvalidRequest]:
    """Yield each request as it is sent, or why it cannot be."""
    for request in requests:
        try:
            yield score_request(request, new_id)
        except InvalidRequest as error:
            yield error.about(request.prediction_id) if request.prediction_id else error


def split(rows: Iterable[ScoreRequest | InvalidRequest], most_rows: int) -> Iterator[Batch]:
    """Yield batches of at most so many rows, and of no more bytes than a message may have."""
    remaining = iter(rows)
    while taken := list(islice(remaining, most_rows)):
        yield from _within_bytes(taken)


async def split_async(
    requests: Iterable[ScoringRequest] | AsyncIterable[ScoringRequest],
    new_id: Callable[[], str],
    most_rows: int,
) -> AsyncIterator[Batch]:
    """As `split` of `rows_of`, for requests that may come asynchronously."""
    if not isinstance(requests, AsyncIterable):
        for batch in split(rows_of(requests, new_id), most_rows):
            yield batch
        return
    together: list[ScoringRequest] = []
    async for request in requests:
        together.append(request)
        if len(together) == most_rows:
            for batch in split(rows_of(together, new_id), most_rows):
                yield batch
            together = []
    for batch in split(rows_of(together, new_id), most_rows):
        yield batch


def _within_bytes(rows: Sequence[ScoreRequest | InvalidRequest]) -> Iterator[Batch]:
    together: list[ScoreRequest | InvalidRequest] = []
    total = 0
    for row in rows:
        # 8 bytes frame a row.
        size = 0 if isinstance(row, InvalidRequest) else row.ByteSize() + 8
        if total + size > MOST_BYTES:
            yield Batch(together)
            together, total = [], 0
        together.append(row)
        total += size
    yield Batch(together)


def _answer(asked: ScoreRequest, result: ScoreResult) -> Answer:
    match result.WhichOneof("result"):
        case "response":
            return score_of(asked, result.response)
        case "error":
            return error_of_row(result.error.code, result.error.message).about(asked.prediction_id)
        case _:
            return UnreadableReply("a result holds neither a score nor an error").about(asked.prediction_id)
