"""Saying which routes this replica follows, so that "done" is known and not hoped for.

Off the request path: the route table tells what happened, and a loop beside it says so, says so again at
every beat, and says goodbye. While nobody can hear it, it waits; then the newest state is said.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Uptake(IntEnum):
    """What became of a route here, numbered as in the contract."""

    FOLLOWED = 1
    REFUSED = 2
    LEFT = 3


@dataclass(frozen=True, slots=True)
class Following:
    """Where this replica is with a model's route.

    Attributes:
        revision: The newest that was taken up or refused.
        serving_revision: The one it answers by; -1 for none.
        at_us: When that happened, by the machine's clock.
        reason: Why it was refused, UPPER_SNAKE; with `detail`, in words.
    """

    model: str
    revision: int
    serving_revision: int
    uptake: Uptake
    at_us: int
    reason: str = ""
    detail: str = ""


class Announce(Protocol):
    """Says states to whoever follows the replicas."""

    async def __call__(self, states: Sequence[Following]) -> None:
        """Return once they are heard; wait while nobody can hear."""


class Herald:
    """Keeps what is to be said and says it.

    Args:
        announce: How it is said.
        now_us: The machine's clock.
        beat_seconds: How often it is said again.
    """

    def __init__(self, announce: Announce, now_us: Callable[[], int], beat_seconds: float) -> None:
        self._announce = announce
        self._now_us = now_us
        self._beat_seconds = beat_seconds
        self._states: dict[str, Following] = {}
        self._changed = asyncio.Event()
        self._heard = asyncio.Event()

    def followed(self, model: str, revision: int) -> None:
        """A route was taken up; one that is loaded again was taken up when it first was."""
        known = self._states.get(model)
        if known and (known.uptake, known.revision) == (Uptake.FOLLOWED, revision):
            return
        self._note(Following(model, revision, revision, Uptake.FOLLOWED, self._now_us()))

    def refused(self, model: str, revision: int, serving_revision: int, reason: str, detail: str) -> None:
        """A route was refused; the one before it, if any, serves on."""
        now_us = self._now_us()
        self._note(Following(model, revision, serving_revision, Uptake.REFUSED, now_us, reason, detail))

    def withdrawn(self, model: str) -> None:
        """A model has no route any more; there is nothing to follow."""
        self._states.pop(model, None)

    async def run(self) -> None:
        """Say every change at once and every state at each beat, until cancelled."""
        while True:
            self._changed.clear()
            if self._states:
                await self._announce(list(self._states.values()))
                self._heard.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._beat_seconds):
                    await self._changed.wait()

    async def heard(self) -> None:
        """Return when it is known where this replica is, if it follows anything."""
        if self._states:
            await self._heard.wait()

    async def leave(self, within_seconds: float) -> None:
        """Say goodbye, if somebody hears it in time."""
        now_us = self._now_us()
        goodbye = [
            Following(one.model, one.revision, one.serving_revision, Uptake.LEFT, now_us)
            for one in self._states.values()
        ]
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._announce(goodbye)

    def _note(self, state: Following) -> None:
        self._states[state.model] = state
        self._changed.set()
