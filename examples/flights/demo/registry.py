"""The control plane's REST, as an operator's script would use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential

if TYPE_CHECKING:
    from collections.abc import Sequence

_REGISTERED_SECONDS = 30


async def route(url: str, model: str, champion: str, shadows: Sequence[str]) -> dict[str, Any]:
    """Routes a model once its versions are registered, which happens through Kafka; returns the route.

    Raises:
        httpx.HTTPStatusError: The control plane refused, still after 30 s of a version being unknown.
    """
    body = {"champion": champion, "shadows": list(shadows)}
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(_is_unknown),
            stop=stop_after_delay(_REGISTERED_SECONDS),
            wait=wait_exponential(0.05, max=0.5),
            reraise=True,
        ):
            with attempt:
                reply = await client.put(f"/v1/models/{model}/route", json=body)
                reply.raise_for_status()
    answer: dict[str, Any] = reply.json()
    return answer


def _is_unknown(error: BaseException) -> bool:
    unknown = (httpx.codes.NOT_FOUND, httpx.codes.UNPROCESSABLE_ENTITY)
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code in unknown
