"""Which replicas follow a model's routes: a picture of what they said last, and no ledger."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

_BEATS: Final = 3
_DEFAULT_BEAT_SECONDS: Final = 5.0


class Uptake(StrEnum):
    """What a replica did with a route."""

    UNSPECIFIED = "UNSPECIFIED"
    FOLLOWED = "FOLLOWED"
    REFUSED = "REFUSED"
    LEFT = "LEFT"


@dataclass(frozen=True, slots=True)
class Follower:
    """What a replica said last of one model.

    Attributes:
        role: "serve", "stream" or "shadow".
        revision: The route it speaks of.
        serving_revision: The route it answers by.
        reason: Why it refused, in UPPER_SNAKE; `detail` in words.
        followed_at_us: Its own clock when it took the route up, or refused it.
        since_us: When it was first heard to answer by `serving_revision`.
        heard_at_us: When it was heard last; this and `since_us` are by this process's clock, but for what was
            said before this process listened, which has the replica's.
    """

    replica: str
    role: str
    model: str
    revision: int
    serving_revision: int
    uptake: Uptake
    reason: str
    detail: str
    beat_seconds: float
    followed_at_us: int
    since_us: int
    heard_at_us: int

    @property
    def serves(self) -> bool:
        """Whether it answers requests."""
        return self.role in {"serve", "stream"}

    def live(self, now_us: int) -> bool:
        """Whether it was heard of within three beats and has not left."""
        beat_us = round((self.beat_seconds or _DEFAULT_BEAT_SECONDS) * 1_000_000)
        return self.uptake is not Uptake.LEFT and now_us - self.heard_at_us <= _BEATS * beat_us

    def after(self, before: "Follower | None") -> "Follower":
        """Returns what it said, since when it has been so as far as the word before tells."""
        if before is None or before.serving_revision != self.serving_revision:
            return self
        return replace(self, since_us=before.since_us)

    def follows(self, revision: int) -> bool:
        """Whether it answers by that route, or a later one."""
        return self.serving_revision >= revision


def behind(followers: Iterable[Follower], revision: int, now_us: int) -> list[Follower]:
    """Returns the live replicas that answer requests by an older route."""
    return [
        follower
        for follower in followers
        if follower.serves and follower.live(now_us) and not follower.follows(revision)
    ]
