"""Serving an ASGI app inside the service's frame, which owns signals and logs."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from service_kit.http import PortTaken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_BACKLOG: Final = 2048


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the frame."""
        yield


@asynccontextmanager
async def serving_until(
    stop: asyncio.Event, app: Any, *, host: str, port: int, reuse_port: bool, notice_s: float, grace_s: float
) -> AsyncIterator[None]:
    """Serve until `stop` and for `notice_s` more, in which every answer ends its connection.

    Leaves when the requests in hand then are answered, or `grace_s` has passed.

    Raises:
        PortTaken: The port is in use.
    """
    config = uvicorn.Config(
        _parting(app, stop),
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=round(grace_s),
    )
    server = _Server(config)

    async def end() -> None:
        await stop.wait()
        await asyncio.sleep(notice_s)
        server.should_exit = True

    with _listen(host, port, reuse_port=reuse_port) as listener:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listener]))
            tasks.create_task(end())
            yield


def _parting(app: Any, stop: asyncio.Event) -> Any:
    """Have callers that keep connections open look for another server once this one stops."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def send_or_part(message: Any) -> None:
            if stop.is_set() and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await app(scope, receive, send_or_part)

    return answer


def _listen(host: str, port: int, *, reuse_port: bool) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=_BACKLOG, reuse_port=reuse_port)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise PortTaken(f"{host}:{port} cannot be used ({why}): set REST_PORT=0 or another") from error
