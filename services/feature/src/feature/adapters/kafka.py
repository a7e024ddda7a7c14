"""Outcomes on the bus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.topics import OUTCOMES_OBSERVED

from feature.adapters.wire import event_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.producer import Publisher

    from feature.domain.outcomes import Outcome


class KafkaOutcomes:
    """`Outcomes` on `tidemark.outcomes.observed.v1`."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def tell(self, outcomes: Sequence[Outcome]) -> None:
        """See `Outcomes.tell`."""
        if outcomes:
            await self._publisher.publish_all(
                OUTCOMES_OBSERVED.name, [event_of(outcome) for outcome in outcomes]
            )
