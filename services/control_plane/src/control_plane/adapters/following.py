"""The picture of who follows which route, and waiting until everybody does."""

import asyncio
import logging
from collections.abc import Sequence

from bus.clocks import Clock
from bus.received import Received

from control_plane.adapters import wire
from control_plane.domain.followers import Follower, behind

_log = logging.getLogger(__name__)
# Replicas that were not heard of for so long are forgotten.
_FORGET_US = 3_600_000_000


class Followers:
    """Every replica's last word on every model, kept in memory from `routes.followed`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], Follower] = {}
        self._heard = asyncio.Condition()

    async def on_event(self, received: Received) -> None:
        """Takes an event of the topic; one that cannot be read is logged and passed over."""
        try:
            said = wire.follower_of(received.event, heard_at_us=self._clock())
        except wire.UnreadableMessage as error:
            _log.warning("passed over %s@%d: %s", received.topic, received.offset, error)
            return
        async with self._heard:
            self._known[said.replica, said.model] = said
            self._heard.notify_all()

    def of(self, model: str) -> Sequence[Follower]:
        """Returns a model's replicas that are live, by name."""
        now_us = self._clock()
        for key, said in list(self._known.items()):
            if now_us - said.followed_at_us > _FORGET_US:
                del self._known[key]
        return [said for _, said in sorted(self._known.items()) if said.model == model and said.live(now_us)]

    async def followed(self, model: str, revision: int, *, timeout_s: float) -> bool:
        """Returns when every live replica that serves answers by the route; False when the time is over."""
        try:
            async with asyncio.timeout(timeout_s), self._heard:
                await self._heard.wait_for(lambda: not behind(self.of(model), revision, self._clock()))
        except TimeoutError:
            return False
        return True
