"""One face for both clients: everything awaited, streams as lists."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tidemark_client import AsyncClient, Client

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemark_client import Answer, ScoringRequest


class WaitingFace:
    """The client that waits, in a thread."""

    def __init__(self, address: Any, **options: Any) -> None:
        self.client = Client(address, **options)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)
        return lambda *arguments, **options: asyncio.to_thread(method, *arguments, **options)

    async def streamed(self, requests: Iterable[ScoringRequest], **options: Any) -> list[Answer]:
        return await asyncio.to_thread(lambda: list(self.client.score_stream(requests, **options)))


class AwaitingFace:
    """The client for event loops."""

    def __init__(self, address: Any, **options: Any) -> None:
        self.client = AsyncClient(address, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    async def streamed(self, requests: Iterable[ScoringRequest], **options: Any) -> list[Answer]:
        return [answer async for answer in self.client.score_stream(requests, **options)]


FACES = {"sync": WaitingFace, "async": AwaitingFace}
