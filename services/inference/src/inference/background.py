"""Work beside a role's own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

T = TypeVar("T")


@asynccontextmanager
async def running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run work beside the body, and cancel what is left of it afterwards; a failure of any ends all."""
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(one) for one in work]
        try:
            yield
        finally:
            for task in started:
                task.cancel()


async def happens(awaited: Coroutine[Any, Any, None], *, before: asyncio.Event) -> bool:
    """Wait for something, unless an event comes first; tells whether it came, and raises what it raised."""
    coming, given_up = asyncio.ensure_future(awaited), asyncio.ensure_future(before.wait())
    try:
        await asyncio.wait((coming, given_up), return_when=asyncio.FIRST_COMPLETED)
        if coming.done():
            coming.result()
        return not before.is_set()
    finally:
        coming.cancel()
        given_up.cancel()


async def in_thread_of_its_own(work: Callable[[], T], name: str) -> T:
    """Do some work in a thread that takes no place from others', and keeps no stopping process."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(how: Callable[[Any], None], with_what: object) -> None:
        if not outcome.done():
            how(with_what)

    def tell(how: Callable[[Any], None], with_what: object) -> None:
        # The loop of a process that stops may be closed by now: nobody waits for the answer then.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, how, with_what)

    def do() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is told to who waits
            tell(outcome.set_exception, error)
        else:
            tell(outcome.set_result, result)

    threading.Thread(target=do, name=name, daemon=True).start()
    return await outcome
