"""One connection to Redis that reads rows and no more: a command out, its reply in, no task between.

A pooled client spends as much time on a command as the round trip takes: docs/adr/0005 has the measurement.
Whoever needs more than MGET takes the client.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

import hiredis
from feature_store.online.ports import ReadRows, StoreUnavailable
from redis.asyncio.connection import SSLConnection, parse_url

from inference.clocks import stopwatch_s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    OnFailure = Callable[[Exception], None]
    OnReply = Callable[[Any], None]
    OnRows = Callable[[ReadRows], None]

_GRACE_SECONDS: Final = 0.001
_LOST: Final = "the connection to Redis was lost"


class _Awaited:
    """A command whose reply has not come yet."""

    __slots__ = ("expires_at_s", "is_due", "is_overdue", "on_reply")

    def __init__(self, on_reply: OnReply, expires_at_s: float) -> None:
        self.on_reply = on_reply
        self.expires_at_s = expires_at_s
        self.is_due = True
        self.is_overdue = False

    def settle(self, reply: Any) -> None:
        """Hand the reply over, once: one that comes too late must only not be taken for the next one's."""
        if self.is_due:
            self.is_due = False
            self.on_reply(reply)


class RespConnection(asyncio.Protocol):
    """Commands and replies, in order; a reply that is an exception says what went wrong.

    Args:
        deadline_s: When a command counts as not answered.
    """

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._replies = hiredis.Reader()
        self._awaited: deque[_Awaited] = deque()
        self._transport: asyncio.WriteTransport | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.WriteTransport", transport)
        # Without this uvloop sends at the end of the loop's turn, after all else that is to be done in it.
        self._transport.set_write_buffer_limits(high=0)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._replies.feed(data)
        while (reply := self._replies.gets()) is not False:
            self._awaited.popleft().settle(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._transport = None
        while self._awaited:
            self._awaited.popleft().settle(exc or ConnectionResetError(_LOST))

    def call(self, command: tuple[str | bytes | int, ...], on_reply: OnReply) -> None:
        """Send a command; its reply, or the exception that stands for it, comes within the deadline."""
        if self._transport is None:
            asyncio.get_running_loop().call_soon(on_reply, ConnectionResetError(_LOST))
            return
        self._awaited.append(_Awaited(on_reply, stopwatch_s() + self._deadline_s))
        self._transport.write(hiredis.pack_command(cast("tuple[bytes]", command)))
        # One timer for all that is awaited, left running when replies come: one a command would cost more.
        if self._sweeping is None:
            self._sweep_after(self._deadline_s)

    def close(self) -> None:
        """Disconnect."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._transport is not None:
            self._transport.close()

    def _sweep_after(self, seconds: float) -> None:
        self._sweeping = asyncio.get_running_loop().call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        now_s = stopwatch_s()
        pauses: list[float] = []
        for awaited in list(self._awaited):
            if awaited.expires_at_s > now_s:
                pauses.append(awaited.expires_at_s - now_s)
                break
            if awaited.is_overdue:
                awaited.settle(TimeoutError("Redis did not answer within the deadline"))
            else:
                # Where this process itself stood still the reply may be here, unread: the loop looks again.
                awaited.is_overdue = True
                pauses.append(_GRACE_SECONDS)
        if pauses:
            self._sweep_after(min(pauses))


class RespRows:
    """Feature rows over one connection; see `inference.ports.FeatureRows`.

    Args:
        on_failure: Told what went wrong whenever rows could not be read.
    """

    def __init__(self, connection: RespConnection, *, on_failure: OnFailure) -> None:
        self._connection = connection
        self._on_failure = on_failure

    def request(self, keys: Sequence[bytes], on_rows: OnRows) -> None:
        """See `FeatureRows.request`."""
        if not keys:
            # A model that reads no rows asks for none; MGET of nothing is an error.
            asyncio.get_running_loop().call_soon(on_rows, ReadRows([], readable=True))
            return

        def on_reply(reply: Any) -> None:
            if isinstance(reply, list):
                on_rows(ReadRows(reply, readable=True))
                return
            self._on_failure(reply if isinstance(reply, Exception) else ConnectionError(f"replied {reply!r}"))
            on_rows(ReadRows([None] * len(keys), readable=False))

        self._connection.call((b"MGET", *keys), on_reply)


async def connect(url: str, *, timeout_s: float, deadline_s: float) -> RespConnection:
    """Connect to one node, and authenticate and select as its URL says.

    Args:
        url: redis://, rediss:// or unix://.
        timeout_s: How long connecting may take.
        deadline_s: When a command counts as not answered, from then on.

    Raises:
        StoreUnavailable: There is no server, or it refuses.
    """
    parts = parse_url(url)
    try:
        async with asyncio.timeout(timeout_s):
            connection = await _open(parts, deadline_s)
            for command in _greetings(parts):
                await _greet(connection, command)
    except (OSError, TimeoutError) as error:
        raise StoreUnavailable(f"Redis takes no connection: {error!r}; is REDIS_URL right?") from error
    return connection


async def _open(parts: Any, deadline_s: float) -> RespConnection:
    loop = asyncio.get_running_loop()
    if "path" in parts:
        _, connection = await loop.create_unix_connection(lambda: RespConnection(deadline_s), parts["path"])
    else:
        secure = ssl.create_default_context() if parts.get("connection_class") is SSLConnection else None
        host, port = parts.get("host", "localhost"), parts.get("port", 6379)
        _, connection = await loop.create_connection(
            lambda: RespConnection(deadline_s), host, port, ssl=secure
        )
    return connection


def _greetings(parts: Any) -> list[tuple[str | bytes | int, ...]]:
    greetings: list[tuple[str | bytes | int, ...]] = []
    if password := parts.get("password"):
        user = parts.get("username")
        greetings.append(("AUTH", user, password) if user else ("AUTH", password))
    if database := parts.get("db"):
        greetings.append(("SELECT", database))
    return greetings


async def _greet(connection: RespConnection, command: tuple[str | bytes | int, ...]) -> None:
    replied: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    connection.call(command, replied.set_result)
    reply = await replied
    if isinstance(reply, Exception):
        connection.close()
        raise StoreUnavailable(f"Redis refuses {command[0]!r}: {reply}; is REDIS_URL right?")
