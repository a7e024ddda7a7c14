"""What scoring needs of the outside world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from feature_store.online.ports import ReadRows

    from inference.domain.routes import VersionRef
    from inference.routes.versions import Version
    from inference.scored import Scored


class FeatureRows(Protocol):
    """Packed feature rows, by key."""

    def request(self, keys: Sequence[bytes], on_rows: Callable[[ReadRows], None]) -> None:
        """Ask for rows at once, in one round trip.

        Args:
            keys: Which rows.
            on_rows: Called once, within a deadline but not before this returns, with what was read in the
                order of the keys. Reading never fails: rows may be said to be unreadable.
        """


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
