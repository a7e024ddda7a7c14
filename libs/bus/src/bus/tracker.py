"""Waiting until a group's effects reach given offsets: the barrier of a replay."""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from google.protobuf.message import DecodeError
from tidemark.pipelines.v1.progress_pb2 import ProgressMade

from bus.errors import BusError, Unavailable
from bus.kafka.admin import committed_offsets
from bus.kafka.tail import KafkaTail
from bus.positions import TopicPartition
from bus.progress import Behind, ProgressMarks
from bus.retrying import Retry
from bus.topics import PROGRESSED
from bus.watermarks import Watermark

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import TracebackType

    from bus.follow import Tail
    from bus.progress import Targets
    from bus.records import LogRecord

    Commits = Callable[[str], Awaitable[Mapping[TopicPartition, int]]]

__all__ = ["ProgressTimeoutError", "ProgressTracker"]

_log = logging.getLogger(__name__)
_ASK_AGAIN_SECONDS: Final = 2.0
_POLL_MS: Final = 100
_JITTER: Final = secrets.SystemRandom().random


class ProgressTimeoutError(BusError, TimeoutError):
    """A group did not reach its targets in time.

    Attributes:
        behind: The partitions that are short, and by how much.
    """

    def __init__(self, group: str, timeout_s: float, behind: Sequence[Behind]) -> None:
        told = "; ".join(map(str, behind))
        super().__init__(f"group {group} was not there after {timeout_s:g} s: {told}")
        self.behind = behind


class ProgressTracker:
    """Follows the progress topic from its end on and merges what it says.

    What was reached before it began, and what a group that died just before publishing had reached, it learns
    from the group's commits: those come after the effects too.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str = "progress-tracker",
        tail: Tail | None = None,
        commits: Commits | None = None,
        retry: Retry = Retry(),  # noqa: B008 - frozen
    ) -> None:
        self._tail = tail or KafkaTail(bootstrap, PROGRESSED.name, client_id=client_id)
        self._commits: Commits = commits or (lambda group: committed_offsets(bootstrap, group))
        self._retry = retry
        self._marks = ProgressMarks()
        self._moved = asyncio.Event()
        self._next: dict[TopicPartition, int] = {}
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._tail.open({})
        self._next = dict(await self._tail.ends())
        await self._tail.close()
        await self._tail.open(self._next)
        self._following = asyncio.ensure_future(self._follow())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        await self._tail.close()

    def marks(self, group: str) -> Mapping[TopicPartition, Watermark]:
        """Give what is known of a group: next offset, newest recorded and event time by partition."""
        return self._marks.of(group)

    async def reached(self, group: str, targets: Targets, timeout_s: float) -> None:
        """Return once every record before the target offsets has had its durable effect.

        Raises:
            ProgressTimeoutError: it took longer; names the partitions that are behind, and by how much.
        """
        if not self._marks.of(group):
            await self._ask_commits(group)
        try:
            async with asyncio.timeout(timeout_s):
                while not await self._told(group, targets):
                    # What was told just before this began to listen is not told again.
                    await self._ask_commits(group)
        except TimeoutError:
            await self._ask_commits(group)
            behind = self._marks.behind(group, targets)
            if behind:
                raise ProgressTimeoutError(group, timeout_s, behind) from None

    async def _told(self, group: str, targets: Targets) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(_ASK_AGAIN_SECONDS):
                while self._marks.behind(group, targets):
                    self._moved.clear()
                    await self._moved.wait()
        return not self._marks.behind(group, targets)

    async def _ask_commits(self, group: str) -> None:
        try:
            for where, offset in (await self._commits(group)).items():
                self._marks.merge_mark(group, where, Watermark(offset))
        except Unavailable as error:
            _log.warning("the commits of %s are not known: %s", group, error)

    async def _follow(self) -> None:
        failures = 0
        while True:
            try:
                for record in await self._tail.poll(_POLL_MS):
                    self._take(record)
                failures = 0
            except Unavailable as error:
                failures += 1
                _log.warning("progress is not heard: %s", error)
                await asyncio.sleep(self._retry.wait_ms(failures, _JITTER()) / 1000)
                await self._reopen()

    async def _reopen(self) -> None:
        await self._tail.close()
        # Should it fail again, the next poll says so.
        with suppress(Unavailable):
            await self._tail.open(self._next)

    def _take(self, record: LogRecord) -> None:
        try:
            self._marks.merge(ProgressMade.FromString(record.value or b""))
        except DecodeError as error:
            _log.warning("passed over unreadable progress at %s@%d: %s", record.topic, record.offset, error)
        self._next[TopicPartition(record.topic, record.partition)] = record.offset + 1
        self._moved.set()
