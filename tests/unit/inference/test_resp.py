"""The lean connection matches replies to commands whatever is late, lost or refused."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from feature_store.online import ReadRows, StoreUnavailable
from inference.adapters.resp import RespConnection, RespRows, connect

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


class Server:
    """A server whose replies the test writes."""

    def __init__(self) -> None:
        self.received = asyncio.Queue[list[bytes]]()
        self._writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        while header := await reader.readline():
            parts = []
            for _ in range(int(header[1:])):
                size = int((await reader.readline())[1:])
                parts.append((await reader.readexactly(size + 2))[:-2])
            self.received.put_nowait(parts)

    def reply(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)

    def hang_up(self) -> None:
        assert self._writer is not None
        self._writer.close()


@asynccontextmanager
async def _server() -> AsyncIterator[tuple[Server, str]]:
    server = Server()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    yield server, f"redis://127.0.0.1:{port}/0"
    if server._writer is not None:
        server._writer.close()
        await server._writer.wait_closed()
    listener.close()
    await listener.wait_closed()


@asynccontextmanager
async def _rows(deadline_s: float = 60.0) -> AsyncIterator[tuple[Server, RespRows, list[Exception]]]:
    failures: list[Exception] = []
    async with _server() as (server, url):
        connection = await connect(url, timeout_s=10.0, deadline_s=deadline_s)
        yield server, RespRows(connection, on_failure=failures.append), failures
        connection.close()


def _request(rows: RespRows, *keys: bytes) -> asyncio.Future[ReadRows]:
    read: asyncio.Future[ReadRows] = asyncio.get_running_loop().create_future()
    rows.request(keys, read.set_result)
    return read


async def test_replies_in_pieces_and_together_reach_their_commands() -> None:
    async with _rows() as (server, rows, failures):
        first, second = _request(rows, b"a", b"b"), _request(rows, b"c")
        assert await server.received.get() == [b"MGET", b"a", b"b"]
        assert await server.received.get() == [b"MGET", b"c"]
        server.reply(b"*2\r\n$3\r\nr\r\n")
        server.reply(b"\r\n$-1\r\n*1\r\n$1\r\nx\r\n")
        assert (await first) == ReadRows([b"r\r\n", None], readable=True)
        assert (await second) == ReadRows([b"x"], readable=True)
    assert failures == []


async def test_a_reply_that_comes_too_late_is_nobody_elses() -> None:
    async with _rows(deadline_s=0.02) as (server, rows, failures):
        late = _request(rows, b"a")
        assert (await late) == ReadRows([None], readable=False)
        assert [type(failure) for failure in failures] == [TimeoutError]

        server.reply(b"*1\r\n$4\r\nlate\r\n")
        following = _request(rows, b"b")
        server.reply(b"*1\r\n$2\r\nin\r\n")
        assert (await following) == ReadRows([b"in"], readable=True)


async def test_every_command_has_its_own_deadline() -> None:
    async with _rows(deadline_s=0.05) as (_server, rows, failures):
        first = _request(rows, b"a")
        await asyncio.sleep(0.03)
        second = _request(rows, b"b")
        await first
        assert not second.done()
        await second
        assert len(failures) == 2


async def test_a_lost_connection_answers_all_that_wait_and_all_that_follows() -> None:
    async with _rows() as (server, rows, failures):
        waiting = [_request(rows, b"a"), _request(rows, b"b", b"c")]
        await server.received.get()
        server.hang_up()
        assert [await read for read in waiting] == [
            ReadRows([None], readable=False),
            ReadRows([None, None], readable=False),
        ]
        assert (await _request(rows, b"d")) == ReadRows([None], readable=False)
    assert len(failures) == 3
    assert all(isinstance(failure, ConnectionResetError) for failure in failures)


async def test_an_error_reply_makes_rows_unreadable_and_is_told() -> None:
    async with _rows() as (server, rows, failures):
        refused = _request(rows, b"a")
        await server.received.get()
        server.reply(b"-LOADING the dataset is loading in memory\r\n")
        assert (await refused) == ReadRows([None], readable=False)
    assert "LOADING" in str(failures[0])


@pytest.mark.parametrize(
    ("credentials", "database", "expected"),
    [
        ("", "", []),
        (":secret@", "", [[b"AUTH", b"secret"]]),
        ("ann:secret@", "/3", [[b"AUTH", b"ann", b"secret"], [b"SELECT", b"3"]]),
    ],
)
async def test_the_url_says_how_to_greet(
    credentials: str, database: str, expected: list[list[bytes]]
) -> None:
    async with _server() as (server, url), asyncio.TaskGroup() as tasks:
        address = url.removeprefix("redis://").removesuffix("/0")
        full = f"redis://{credentials}{address}{database}"
        connecting = tasks.create_task(connect(full, timeout_s=10.0, deadline_s=10.0))
        for command in expected:
            assert await server.received.get() == command
            server.reply(b"+OK\r\n")
        connection = await connecting
        assert isinstance(connection, RespConnection)
        connection.close()


async def test_a_server_that_refuses_the_password_is_unavailable() -> None:
    async with _server() as (server, url):
        connecting = asyncio.ensure_future(
            connect(url.replace("redis://", "redis://:wrong@"), timeout_s=10.0, deadline_s=10.0)
        )
        await server.received.get()
        server.reply(b"-WRONGPASS invalid username-password pair\r\n")
        with pytest.raises(StoreUnavailable, match="WRONGPASS"):
            await connecting


async def test_a_port_that_nobody_listens_on_is_unavailable() -> None:
    async with _server() as (_, url):
        pass
    with pytest.raises(StoreUnavailable, match="REDIS_URL"):
        await connect(url, timeout_s=10.0, deadline_s=10.0)
