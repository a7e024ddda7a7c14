"""How rows are cut into batches, and put together again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tidemark.scoring.v1.scoring_service_pb2 import ScoreBatchRequest, ScoreResponse, ScoreResult
from tidemark_client import InvalidRequest, Score, ScoringRequest
from tidemark_client.batches import rows_of, split, split_async
from tidemark_client.connecting import MAX_MESSAGE_BYTES, Tls, target_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# None cannot be sent; a number is sent with so many bytes beside it.
ROWS = st.lists(st.one_of(st.none(), st.integers(0, 3), st.just(700_000), st.just(5_000_000)), max_size=15)


def requests(sizes: list[int | None]) -> list[ScoringRequest]:
    return [
        ScoringRequest("m", context={"n": float(n), "pad": None if size is None else "x" * size})  # type: ignore[dict-item]
        for n, size in enumerate(sizes)
    ]


@settings(max_examples=30)
@given(ROWS, st.integers(1, 8))
def test_no_row_is_lost_or_moved_and_no_message_is_too_large(sizes: list[int | None], most: int) -> None:
    answers = []
    for batch in split(rows_of(requests(sizes), lambda: "id"), most):
        assert len(batch.messages) <= most
        assert ScoreBatchRequest(requests=batch.messages).ByteSize() < MAX_MESSAGE_BYTES
        answers += batch.answered(
            [ScoreResult(response=ScoreResponse(score=one.context["n"].number)) for one in batch.messages]
        )
    assert len(answers) == len(sizes)
    for n, (size, answer) in enumerate(zip(sizes, answers, strict=True)):
        if size is None or size > MAX_MESSAGE_BYTES:
            assert isinstance(answer, InvalidRequest)
        else:
            assert isinstance(answer, Score)
            assert answer.score == n


async def test_requests_may_come_asynchronously() -> None:
    async def arriving() -> AsyncIterator[ScoringRequest]:
        for one in requests([0] * 7):
            yield one

    batches = [batch async for batch in split_async(arriving(), lambda: "id", 3)]
    assert [len(batch.messages) for batch in batches] == [3, 3, 1]


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("inference:50051", "inference:50051"),
        (["inference:50051"], "inference:50051"),
        (["10.0.0.1:1", "10.0.0.2:2"], "ipv4:10.0.0.1:1,10.0.0.2:2"),
        (["[::1]:1", "[::1]:2"], "ipv6:[::1]:1,[::1]:2"),
    ],
)
def test_addresses_become_one_target(address: str | list[str], target: str) -> None:
    assert target_of(address) == target


@pytest.mark.parametrize("address", ["", [], ["a:1", ""], ["a:1", "b:1"], ["10.0.0.1:1", "[::1]:1"]])
def test_addresses_that_cannot_be_listed_are_refused(address: str | list[str]) -> None:
    with pytest.raises(ValueError, match=r"address|IP addresses"):
        target_of(address)


def test_half_of_a_clients_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="certificate_chain"):
        Tls(private_key=b"key")
