"""Calls that are sent together, and how little they have to do with each other."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import grpc
import pytest
from client_kit.servers import Refusal, ScriptedServer
from tidemark_client import AsyncClient, DeadlineExceeded, InvalidRequest, NotReady, Score, UnexpectedStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.address, timeout_s=5, batch=True, batch_window_s=0) as client:
        yield client


async def test_calls_of_one_turn_of_the_loop_are_one_batch(
    client: AsyncClient, server: ScriptedServer
) -> None:
    scores = await asyncio.gather(*(client.score("m", context={"x": float(n)}) for n in range(30)))
    assert [one.score for one in scores] == list(range(30))
    assert [len(one.message.requests) for one in server.attempts] == [30]


async def test_calls_within_the_window_are_one_batch(server: ScriptedServer) -> None:
    async with AsyncClient(server.address, timeout_s=5, batch=True, batch_window_s=0.2) as client:

        async def later(x: float) -> Score:
            await asyncio.sleep(x / 100)
            return await client.score("m", context={"x": x})

        scores = await asyncio.gather(*map(later, (0.0, 1.0, 2.0)))
    assert [one.score for one in scores] == [0, 1, 2]
    assert len(server.attempts) == 1


async def test_more_than_a_batch_holds_are_several(client: AsyncClient, server: ScriptedServer) -> None:
    await asyncio.gather(*(client.score("m", context={"x": 1.0}) for _ in range(1_001)))
    assert sorted(len(one.message.requests) for one in server.attempts) == [1, 1_000]


async def test_each_has_its_own_answer_error_and_id(client: AsyncClient) -> None:
    good, bad, broken = await asyncio.gather(
        client.score("m", context={"x": 1.0}),
        client.score("m", prediction_id="mine"),
        client.score("m", {"origin": 1}),  # type: ignore[dict-item]
        return_exceptions=True,
    )
    assert isinstance(good, Score)
    assert isinstance(bad, InvalidRequest)
    assert (bad.field, bad.prediction_id) == ("context[x]", "mine")
    assert isinstance(broken, InvalidRequest)
    assert broken.field == "entities[origin]"


async def test_a_batch_that_fails_fails_each_with_its_own_id_and_is_asked_again_as_one(
    client: AsyncClient, server: ScriptedServer
) -> None:
    server.script.extend([Refusal(grpc.StatusCode.UNAVAILABLE), Refusal(grpc.StatusCode.UNAUTHENTICATED)])
    errors = await asyncio.gather(
        *(client.score("m", prediction_id=f"p{n}") for n in range(3)), return_exceptions=True
    )
    assert [type(one) for one in errors] == [UnexpectedStatus] * 3
    assert [one.prediction_id for one in errors if isinstance(one, UnexpectedStatus)] == ["p0", "p1", "p2"]
    assert len(server.attempts) == 2


async def test_one_who_gives_up_does_not_disturb_the_others(
    client: AsyncClient, server: ScriptedServer
) -> None:
    server.held.clear()
    patient = asyncio.ensure_future(client.score("m", context={"x": 1.0}))
    hasty = asyncio.ensure_future(client.score("m", context={"x": 2.0}, timeout_s=0.1))
    cancelled = asyncio.ensure_future(client.score("m", context={"x": 3.0}))
    await asyncio.to_thread(server.arrived.acquire)
    cancelled.cancel()
    with pytest.raises(DeadlineExceeded):
        await hasty
    server.held.set()
    assert (await patient).score == 1.0
    assert len(server.attempts) == 1


async def test_what_goes_wrong_here_is_told_to_each_who_waits(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: own + 1)
    errors = await asyncio.gather(client.score("m"), client.score("m"), return_exceptions=True)
    assert [type(one) for one in errors] == [RuntimeError] * 2


async def test_closing_answers_what_waits(server: ScriptedServer) -> None:
    client = AsyncClient(server.address, timeout_s=5, batch=True, batch_window_s=60)
    waiting = asyncio.ensure_future(client.score("m", context={"x": 4.0}))
    await asyncio.sleep(0)
    await client.close()
    assert (await waiting).score == 4.0


async def test_a_batch_that_nobody_answers_ends_by_the_deadline() -> None:
    async with AsyncClient("127.0.0.1:1", timeout_s=0.3, batch=True) as client:
        with pytest.raises((NotReady, DeadlineExceeded)):
            await client.score("m")
