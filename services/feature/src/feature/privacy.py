"""What is hashed before anything is written, and whose events count for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from feature_store import EventBatch, Pseudonyms
    from numpy.typing import NDArray
    from privacy.erased import ErasedSubjects


@dataclass(frozen=True, slots=True)
class Privacy:
    """What a batch of events is held to.

    Attributes:
        pseudonyms: Stand for what is hashed.
        erased: Who was erased.
        erased_known: Returns once everybody who was erased before it was called is among the erased.
    """

    pseudonyms: Pseudonyms | None = None
    erased: ErasedSubjects | None = None
    erased_known: Callable[[], Awaitable[None]] | None = None

    async def up_to_date(self) -> None:
        """Return once everybody who was erased is known.

        Raises:
            Unavailable: Kafka is away.
        """
        if self.erased_known is not None:
            await self.erased_known()

    def among(self, events: EventBatch) -> NDArray[np.bool_]:
        """Tell which events are of the erased: bool[n]."""
        return np.zeros(len(events), np.bool_) if self.erased is None else self.erased.among(events)
