"""The forms in which a Python process can answer a call: `python -m bench.forms_servers FORM`.

Small on purpose: each is what its library costs, as an empty echo and as the least that a score is: one MGET
of four rows, their sixteen numbers, one run of the model, a reply. Nothing is validated, assigned or logged.
The environment names the store and the model (`FORM_REDIS_URL`, `FORM_MODEL`); standard output says the port.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import grpc
import hiredis
import numpy as np
import uvloop
from inference.adapters.resp import RespConnection, connect
from model_package.session import open_session
from redis.asyncio.connection import parse_url
from tidemark.scoring.v1 import scoring_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest, ScoreResponse

    Answer = Callable[[ScoreRequest], Awaitable[ScoreResponse]]

METHODS: Final = {"echo": "/bench.Form/Echo", "score": "/bench.Form/Score"}
ENTITIES: Final = ("origin", "destination", "carrier", "tail_number")
_DEADLINE_S: Final = 1.0


def row_key(entity: str, value: str) -> bytes:
    """The key under which an entity's four numbers are kept."""
    return f"form:{entity}:{value}".encode()


def keys_of(request: ScoreRequest) -> list[bytes]:
    """The keys of the four rows that a request needs."""
    return [row_key(entity, request.entities[entity]) for entity in ENTITIES]


class Model:
    """The model, and what is done with rows that have been read."""

    def __init__(self, path: str) -> None:
        self._session = open_session(Path(path).read_bytes(), "the form's model")

    def answer(self, rows: Sequence[bytes]) -> ScoreResponse:
        """Score the sixteen float32 of four rows."""
        vector = np.frombuffer(b"".join(rows), np.float32).reshape(1, -1)
        (probabilities,) = self._session.run(["probabilities"], {"X": vector})
        return pb.ScoreResponse(score=float(probabilities[0, 1]))


class BlockingRows:
    """Reads rows on a socket of each thread's own."""

    def __init__(self, url: str) -> None:
        self._address, self._own = _address_of(url), threading.local()

    def read(self, keys: Sequence[bytes]) -> list[bytes]:
        """Send one MGET and wait for its reply."""
        if not hasattr(self._own, "socket"):
            self._own.socket = socket.create_connection(self._address)
            self._own.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._own.reader = hiredis.Reader()
        self._own.socket.sendall(hiredis.pack_command(cast("tuple[bytes]", (b"MGET", *keys))))
        while (reply := self._own.reader.gets()) is False:
            self._own.reader.feed(self._own.socket.recv(65536))
        rows: list[bytes] = reply
        return rows


async def read_rows(connection: RespConnection, keys: Sequence[bytes]) -> list[bytes]:
    """Send one MGET on the connection that all calls share, and wait for its reply."""
    replied: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
    connection.call((b"MGET", *keys), replied.set_result)
    return await replied


def serve_blocking(threads: int) -> None:
    """A server of threads, each of which answers a call from its beginning to its end."""
    rows, model = BlockingRows(os.environ["FORM_REDIS_URL"]), Model(os.environ["FORM_MODEL"])

    def echo(request: Any, _context: object) -> Any:
        return request

    def score(request: Any, _context: object) -> Any:
        return model.answer(rows.read(keys_of(request)))

    server = grpc.server(ThreadPoolExecutor(threads))
    server.add_generic_rpc_handlers((_handlers(grpc.unary_unary_rpc_method_handler, echo, score),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"form on {port}", flush=True)
    server.wait_for_termination()


async def serve_in_a_loop(handlers: Callable[[Answer], grpc.GenericRpcHandler]) -> None:
    """A server of coroutines in one event loop."""
    url = os.environ["FORM_REDIS_URL"]
    connection = await connect(url, timeout_s=_DEADLINE_S, deadline_s=_DEADLINE_S)
    model = Model(os.environ["FORM_MODEL"])

    async def score(request: ScoreRequest) -> ScoreResponse:
        return model.answer(await read_rows(connection, keys_of(request)))

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers(score),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"form on {port}", flush=True)
    await server.wait_for_termination()


def by_calls(answer: Answer) -> grpc.GenericRpcHandler:
    """Coroutines that answer a call each."""

    async def echo(request: Any, _context: object) -> Any:
        return request

    async def score(request: Any, _context: object) -> Any:
        return await answer(request)

    return _handlers(grpc.unary_unary_rpc_method_handler, echo, score)


def by_streams(answer: Answer) -> grpc.GenericRpcHandler:
    """Coroutines that answer single requests of a bidirectional stream, one after the other."""

    async def echo(requests: AsyncIterator[Any], _context: object) -> AsyncIterator[Any]:
        async for request in requests:
            yield request

    async def score(requests: AsyncIterator[Any], _context: object) -> AsyncIterator[Any]:
        async for request in requests:
            yield await answer(request)

    return _handlers(grpc.stream_stream_rpc_method_handler, echo, score)


def _handlers(kind: Any, echo: Any, score: Any) -> grpc.GenericRpcHandler:
    empty, asked, answered = pb.ScoreBatchRequest, pb.ScoreRequest, pb.ScoreResponse
    methods = {
        "Echo": kind(
            echo, request_deserializer=empty.FromString, response_serializer=empty.SerializeToString
        ),
        "Score": kind(
            score, request_deserializer=asked.FromString, response_serializer=answered.SerializeToString
        ),
    }
    return grpc.method_handlers_generic_handler("bench.Form", methods)


def _address_of(url: str) -> tuple[str, int]:
    parts: Any = parse_url(url)
    return parts.get("host", "localhost"), parts.get("port", 6379)


FORMS: Final[dict[str, Callable[[], None]]] = {
    "sync_4": lambda: serve_blocking(4),
    "sync_16": lambda: serve_blocking(16),
    "aio": lambda: asyncio.run(serve_in_a_loop(by_calls)),
    "aio_uvloop": lambda: uvloop.run(serve_in_a_loop(by_calls)),
    "stream": lambda: uvloop.run(serve_in_a_loop(by_streams)),
}

if __name__ == "__main__":
    FORMS[sys.argv[1]]()
