"""A thread for one version's runs: what blocks it blocks nobody else."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import finalize

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Worker(Generic[T]):
    """Does one thing after the other in a thread, and says in the event loop what came of each.

    The thread ends with this object. It is a daemon: a run that never ends does not keep a stopping process.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._orders: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._pending = 0
        threading.Thread(target=_work, args=(self._orders,), name=name, daemon=True).start()
        finalize(self, self._orders.put, None)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is done or waits to be done."""
        return not self._pending

    def do(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Do some work, which must not raise, after what was ordered before; `then` is called in the loop."""
        self._pending += 1
        self._orders.put(partial(self._do, work, then))

    def _do(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        result = work()
        # The loop of a process that stops may be closed by now: nobody waits for the answer then.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish, then, result)

    def _finish(self, then: Callable[[T], None], result: T) -> None:
        self._pending -= 1
        then(result)


def _work(orders: SimpleQueue[Callable[[], None] | None]) -> None:
    # It knows the queue and not the worker, so that the worker can be let go of.
    while (order := orders.get()) is not None:
        order()
        del order
