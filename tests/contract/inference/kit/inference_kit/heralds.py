"""What replicas say about their routes, kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.routes.following import Following, Herald

if TYPE_CHECKING:
    from collections.abc import Sequence


class Heard:
    """Keeps everything that is said; can be held back as if nobody could hear."""

    def __init__(self) -> None:
        self.states: list[Following] = []

    async def __call__(self, states: Sequence[Following]) -> None:
        """See `inference.routes.following.Announce`."""
        self.states += states


def herald(heard: Heard | None = None, *, now_us: int = 1, beat_seconds: float = 3600) -> Herald:
    """A herald whose clock stands still."""
    return Herald(heard or Heard(), lambda: now_us, beat_seconds)
