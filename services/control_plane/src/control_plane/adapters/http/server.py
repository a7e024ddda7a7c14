"""Serving the app inside the service's frame, which owns signals and logs."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from service_kit.http import PortTaken

_CLOSE_SECONDS = 10


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the frame."""
        yield


def listen(port: int) -> socket.socket:
    """Binds the port, 0 for a free one.

    Raises:
        PortTaken: something listens there.
    """
    try:
        return socket.create_server(("0.0.0.0", port), backlog=128)  # noqa: S104 - callers come from outside
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise PortTaken(f"port {port} cannot be used ({why}): set HTTP_PORT to another") from error


async def serve(app: FastAPI, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serves until `stop`, then finishes the requests in hand."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=_CLOSE_SECONDS
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve(sockets=[listener]))
        await stop.wait()
        server.should_exit = True
        await serving
