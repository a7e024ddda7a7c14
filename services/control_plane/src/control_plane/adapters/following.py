"""The picture of who follows which route, and waiting until everybody does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from bus.clocks import Clock
from bus.errors import Unavailable
from bus.received import Received

from control_plane.adapters import wire
from control_plane.domain.followers import Follower, behind

_log = logging.getLogger(__name__)
# Replicas that were not heard of for so long are forgotten.
_FORGET_US = 3_600_000_000


class Followers:
    """Every replica's last word on every model, kept in memory from `routes.followed`.

    Attributes:
        caught_up: Returns when everything that has been said was heard; raises `Unavailable`.
    """

    def __init__(self, clock: Clock) -> None:
        self.caught_up: Callable[[], Awaitable[None]] = _nothing_to_hear
        self._clock = clock
        self._is_live = False
        self._known: dict[tuple[str, str], Follower] = {}
        self._heard = asyncio.Condition()

    def go_live(self) -> None:
        """From now on a word is heard when it is said; a replica's own clock may be wrong."""
        self._is_live = True

    async def on_event(self, received: Received) -> None:
        """Takes an event of the topic; one that cannot be read is logged and passed over."""
        try:
            now_us = self._clock()
            heard_at_us = now_us if self._is_live else min(now_us, received.event.time_us)
            said = wire.follower_of(received.event, heard_at_us=heard_at_us)
        except wire.UnreadableMessage as error:
            _log.warning("passed over %s@%d: %s", received.topic, received.offset, error)
            return
        async with self._heard:
            key = said.replica, said.model
            self._known[key] = said.after(self._known.get(key))
            self._heard.notify_all()

    def of(self, model: str) -> Sequence[Follower]:
        """Returns a model's replicas that are live, by name."""
        now_us = self._clock()
        for key, said in list(self._known.items()):
            if now_us - said.heard_at_us > _FORGET_US:
                del self._known[key]
        return [said for _, said in sorted(self._known.items()) if said.model == model and said.live(now_us)]

    async def followed(self, model: str, revision: int, *, timeout_s: float) -> bool:
        """Returns when every live replica that serves answers by the route.

        False when the time is over, or nobody can be heard because the broker is away.
        """
        try:
            async with asyncio.timeout(timeout_s):
                # Whoever has said that it serves, and was not heard yet, is waited for too.
                await self.caught_up()
                async with self._heard:
                    await self._heard.wait_for(lambda: not behind(self.of(model), revision, self._clock()))
        except (TimeoutError, Unavailable) as error:
            _log.warning("not every replica of %s was heard to follow %d: %r", model, revision, error)
            return False
        return True


async def _nothing_to_hear() -> None:
    pass
