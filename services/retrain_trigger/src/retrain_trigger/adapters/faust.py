"""Faust: the log's records to the intake, one table with a changelog, and what goes wrong with either.

What is done about Faust's edges, and why, stands in docs/adr/0011-retrain-trigger-on-faust.md.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import faust
from bus.errors import Unavailable
from faust.transport.drivers.aiokafka import Consumer

from retrain_trigger.adapters.codec import decode, encode
from retrain_trigger.adapters.unbroken import RecordsPassedOver
from retrain_trigger.ports import Kept

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bus.events import Headers
    from bus.records import LogRecord

    from retrain_trigger.adapters.unbroken import Unbroken

_log = logging.getLogger(__name__)
TABLE: Final = "models"
_PARTITION: Final = 0
_COMMIT_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 1.0
# As the bus's members have them: one that was killed is replaced within ten seconds.
_SESSION_SECONDS: Final = 10.0
_HEARTBEAT_SECONDS: Final = 1.0
# Above Faust's own wait for an agent that finishes what it has in hand.
_STOP_SECONDS: Final = 20.0


class WorkerFailed(Exception):
    """Faust gave up; the process has to begin anew."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the bus reads them; see `bus.records.LogRecord`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class _App(faust.App):
    """An app that loses nothing of what it has fetched when it begins.

    While the table is read from its changelog records of the inputs are fetched and queued; then Faust clears
    the queues, and what was in them is not fetched again.
    """

    def FlowControlQueue(self, maxsize: int | None = None, *, clear_on_resume: bool = False) -> Any:  # noqa: N802 - Faust's
        del clear_on_resume
        return super().FlowControlQueue(maxsize, clear_on_resume=False)


class CarefulConsumer(Consumer):
    """A consumer that commits what was acknowledged and nothing else.

    Faust takes a jump between what it fetched last and next for records that do not exist, and commits over
    them. After its seek at the beginning such a jump is also seen over records that are queued and not yet
    processed. Where records really do not exist, on a compacted topic, what follows is read again after a
    restart, which changes nothing.
    """

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        pass


class FaustWorker:
    """One agent on all the inputs, and the table that it keeps.

    Args:
        group: The consumer group; the changelog is `<group>-models-changelog`.
        inputs: Topics of one partition each, so that one table can follow them all.
        unbroken: Looks whether any record was passed over.
    """

    def __init__(self, *, bootstrap: str, group: str, inputs: Sequence[str], unbroken: Unbroken) -> None:
        self._unbroken = unbroken
        self._app = _application(bootstrap, group)
        self._table = self._app.Table(
            TABLE, key_type=bytes, value_type=bytes, partitions=1, help="State by model."
        )
        self._channel = self._app.topic(*inputs, key_serializer="raw", value_serializer="raw")
        self._table.on_recover(self._on_recovered)
        self._recovered = False
        self._failure: BaseException | None = None
        self._failed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._away_because: str | None = None

    @property
    def not_ready_because(self) -> str | None:
        """Why records are not being read, in words; None when they are."""
        app = self._app
        if self._failure is not None:
            return f"the worker failed: {self._failure!r}"
        if not app.started or app.rebalancing or not app.consumer.assignment():
            return "has not joined its group yet"
        if app.in_recovery or not self._recovered:
            return "is reading its state from the changelog"
        return self._away_because

    def load(self, model: str) -> Kept:
        """See `ports.States.load`."""
        row: bytes | None = self._table.data.get(model.encode())
        return Kept() if row is None else decode(row)

    async def save(self, model: str, kept: Kept) -> None:
        """See `ports.States.save`."""
        key, row = model.encode(), encode(kept)
        try:
            # Assigning to the table would only queue the write, and a write that fails is only logged.
            await self._table.send_changelog(_PARTITION, key, row)
        except Exception as error:
            raise Unavailable(f"the changelog does not take the state of {model}: {error!r}") from error
        self._table.data[key] = row

    async def run(self, take: Callable[[LogRecord], Awaitable[None]], stop: asyncio.Event) -> None:
        """Read until `stop`; then finish the record in hand, commit and leave the group.

        Args:
            take: Takes a record in. While it raises `Unavailable` the record is handed over again.
            stop: See above.

        Raises:
            WorkerFailed: Faust, or `take`, gave up; a new worker may be run.
        """
        self._app.agent(self._channel, name="intake")(self._agent(take))
        self._app.finalize()
        try:
            await self._app.start()
            await self._until(stop)
        except Exception as error:  # noqa: BLE001 - Faust lets through whatever its client raises
            self._fail(error)
        finally:
            self._stopping.set()
            await self._stop()
        if self._failure is not None:
            raise WorkerFailed(f"{type(self._failure).__name__}: {self._failure}") from self._failure

    async def _stop(self) -> None:
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._app.stop()
        except Exception as error:  # noqa: BLE001 - as above; what it did not commit is read again
            _log.warning("Faust did not stop in order: %r", error)

    async def _until(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            waits = [
                tasks.create_task(stop.wait()),
                tasks.create_task(self._failed.wait()),
                tasks.create_task(self._crashed()),
            ]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def _crashed(self) -> None:
        await self._app.wait_until_stopped()
        self._fail(self._app.crash_reason or WorkerFailed("Faust stopped by itself"))

    async def _on_recovered(self) -> None:
        self._recovered = True

    def _fail(self, reason: BaseException) -> None:
        self._failure = self._failure or reason
        self._failed.set()

    def _agent(self, take: Callable[[LogRecord], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
        async def intake(stream: Any) -> None:
            # Acknowledged by hand: Faust would also acknowledge what a cancelled agent had in hand.
            async for event in stream.noack().events():
                record = _record(event.message)
                if not self._follows(record) or not await self._taken(take, record):
                    return
                await stream.ack(event)

        return intake

    def _follows(self, record: LogRecord) -> bool:
        try:
            self._unbroken.check(record)
        except RecordsPassedOver as error:
            self._fail(error)
            return False
        return True

    async def _taken(self, take: Callable[[LogRecord], Awaitable[None]], record: LogRecord) -> bool:
        """Take a record until it is taken; False when there is no time left, or no hope."""
        while not self._stopping.is_set():
            try:
                await take(record)
            except Unavailable as error:
                self._away_because = str(error)
                _log.warning("waiting: %s", error)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_RETRY_SECONDS):
                        await self._stopping.wait()
            except Exception as error:  # noqa: BLE001 - an agent that raises is started anew by Faust, for ever
                self._fail(error)
                return False
            else:
                self._away_because = None
                return True
        return False


def _application(bootstrap: str, group: str) -> faust.App:
    app = _App(
        group,
        broker=[f"kafka://{address.strip()}" for address in bootstrap.split(",")],
        loop=asyncio.get_running_loop(),
        store="memory://",
        # Faust makes a folder for tables even where they are kept in memory.
        datadir=str(Path(tempfile.gettempdir()) / f"{group}-data"),
        web_enabled=False,
        topic_disable_leader=True,
        topic_partitions=1,
        table_standby_replicas=0,
        broker_commit_interval=_COMMIT_SECONDS,
        broker_session_timeout=_SESSION_SECONDS,
        broker_heartbeat_interval=_HEARTBEAT_SECONDS,
        autodiscover=False,
        # What was in hand when a partition went away is handed over again; waiting for it can last for ever.
        stream_wait_empty=False,
    )
    app.transport.Consumer = CarefulConsumer  # type: ignore[misc] # this app's alone
    return app


def _record(message: Any) -> Record:
    headers = message.headers or []
    return Record(
        message.topic,
        message.partition,
        message.offset,
        round(message.timestamp * 1_000),
        message.key,
        message.value,
        list(headers.items() if isinstance(headers, dict) else headers),
    )
