from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from feature_store.online import ReadRows
from feature_store.online.coalescing import CoalescingReader

if TYPE_CHECKING:
    from collections.abc import Sequence


class Slow:
    """Answers when told to."""

    def __init__(self) -> None:
        self.asked: list[list[bytes]] = []
        self.go = asyncio.Event()
        self.fails = False

    async def read(self, keys: Sequence[bytes]) -> ReadRows:
        self.asked.append(list(keys))
        await self.go.wait()
        if self.fails:
            raise RuntimeError("broken")
        return ReadRows([b"row of " + key for key in keys], readable=True)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_asked_during_a_read_makes_up_the_next_one() -> None:
    slow = Slow()
    reader = CoalescingReader(slow)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(reader.read([b"a"]))
        await settle()
        others = [tasks.create_task(reader.read(keys)) for keys in ([b"b", b"c"], [], [b"d"])]
        gone = asyncio.ensure_future(reader.read([b"x"]))
        await settle()
        gone.cancel()
        slow.go.set()
    assert slow.asked[0] == [b"a"]
    assert sorted(slow.asked[1]) == [b"b", b"c", b"d", b"x"]
    assert first.result().rows == [b"row of a"]
    assert [list(one.result().rows) for one in others] == [[b"row of b", b"row of c"], [], [b"row of d"]]
    assert reader.reads == 2


async def test_a_reader_that_breaks_fails_those_who_wait_and_no_one_else() -> None:
    slow = Slow()
    slow.fails = True
    slow.go.set()
    reader = CoalescingReader(slow)
    with pytest.raises(RuntimeError, match="broken"):
        await reader.read([b"a"])
    slow.fails = False
    assert (await reader.read([b"a"])).rows == [b"row of a"]
