"""What scoring needs of the outside world, beside `feature_store`'s `RowReader`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from inference.domain.routes import VersionRef
    from inference.scored import Scored
    from inference.versions import Version


class PredictionLog(Protocol):
    """Where predictions are recorded."""

    def offer(self, scored: Scored) -> None:
        """Record a prediction later, without waiting; when there is no room it is dropped and counted."""

    async def write(self, scored: Scored) -> None:
        """Return when the prediction is durable.

        Raises:
            LogUnavailable: It could not be written in time.
        """


class Versions(Protocol):
    """Turns a reference into a version that is ready to score."""

    async def load(self, model: str, ref: VersionRef) -> Version:
        """Open, verify and warm a version.

        Raises:
            VersionRefused: It is not what the route says, or cannot score.
        """
