"""Requests for models that rest: they wait until theirs is loaded, within their deadline."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from inference.domain.errors import Overloaded, ScoringError
from inference.serve.plane import ScoringPlane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.domain.requests import Asked
    from inference.routes.bounded import BoundedRouteTable
    from inference.routes.serving import ServedModel
    from inference.scored import Scored

# Of the time left: whoever waited in vain is told so while they still listen.
_WAITED_SHARE: Final = 0.8
_ASK_AGAIN_S: Final = 1.0


class WakingPlane(ScoringPlane):
    """A plane on which a request for a model that rests waits for it; the others pass by.

    Args:
        routes: The models served now, and those that rest.
        most_waiting: Requests that may wait for models; more are turned away.
        parts: What any plane is given.
    """

    def __init__(self, *, routes: BoundedRouteTable[ServedModel], most_waiting: int, **parts: Any) -> None:
        super().__init__(routes=routes, **parts)
        self._resting = routes
        self._most_waiting = most_waiting
        self._waiting = 0

    async def score(self, asked: Asked, time_left_s: float | None) -> Scored:
        """See `ScoringPlane.score`."""
        if self._resting.is_resting(asked.model):
            time_left_s = await self._wait(asked.model, time_left_s)
        return await super().score(asked, time_left_s)

    async def score_many(
        self, requests: Sequence[Asked | ScoringError], time_left_s: float | None
    ) -> list[Scored | ScoringError]:
        """See `ScoringPlane.score_many`; models that rest come one by one, after the others."""
        groups: dict[str | None, list[int]] = {None: []}
        for number, asked in enumerate(requests):
            model = None if isinstance(asked, ScoringError) else asked.model
            rests = model is not None and self._resting.is_resting(model)
            groups.setdefault(model if rests else None, []).append(number)
        if len(groups) == 1:
            return await super().score_many(requests, time_left_s)
        answers: dict[int, Scored | ScoringError] = {}
        for waited, numbers in groups.items():
            group = [requests[number] for number in numbers]
            try:
                if waited is not None:
                    time_left_s = await self._wait(waited, time_left_s)
                answers |= zip(numbers, await super().score_many(group, time_left_s), strict=True)
            except ScoringError as error:
                answers |= dict.fromkeys(numbers, error)
        return [answers[number] for number in range(len(requests))]

    async def _wait(self, model: str, time_left_s: float | None) -> float | None:
        """Wait for a model; gives the time left after it. Whether it came is seen when it is asked."""
        if self._waiting >= self._most_waiting:
            raise Overloaded(f"{self._waiting} requests wait for models to be loaded", _ASK_AGAIN_S)
        began_s = self._now_s()
        self._waiting += 1
        try:
            async with asyncio.timeout(None if time_left_s is None else time_left_s * _WAITED_SHARE):
                await self._resting.woken(model)
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1
        return None if time_left_s is None else time_left_s - (self._now_s() - began_s)
