"""Coalescing reads: what is asked while one read is under way makes up the next. Nobody waits for a clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from feature_store.online.ports import ReadRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_store.online.ports import RowReader

    Waiting = tuple[Sequence[bytes], asyncio.Future[ReadRows]]


class CoalescingReader:
    """`RowReader` that turns concurrent reads into one pipelined read of the reader behind it.

    Args:
        reader: Reads the rows; it never fails.

    Attributes:
        reads: How many reads were asked of the reader behind.
    """

    def __init__(self, reader: RowReader) -> None:
        self._reader = reader
        self._waiting: list[Waiting] = []
        self._reading: asyncio.Task[None] | None = None
        self.reads = 0

    async def read(self, keys: Sequence[bytes]) -> ReadRows:
        """See `RowReader.read`."""
        answer: asyncio.Future[ReadRows] = asyncio.get_running_loop().create_future()
        self._waiting.append((keys, answer))
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read_all())
        return await answer

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting, []
                await self._read_together(together)
        finally:
            self._reading = None

    async def _read_together(self, together: Sequence[Waiting]) -> None:
        self.reads += 1
        keys = [key for keys, _ in together for key in keys]
        try:
            found = await self._reader.read(keys)
        except Exception as error:  # noqa: BLE001 - told to each who waits; those who come later try again
            for _, answer in together:
                if not answer.done():
                    answer.set_exception(error)
            return
        start = 0
        for keys_of_one, answer in together:
            end = start + len(keys_of_one)
            if not answer.done():
                answer.set_result(ReadRows(found.rows[start:end], found.readable))
            start = end
