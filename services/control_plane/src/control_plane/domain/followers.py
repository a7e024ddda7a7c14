"""Which replicas follow a model's routes: a picture of what they said last, and no ledger."""

from collections.abc import Iterable
from dataclasses import dataclass
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
        role: "serve" or "shadow".
        revision: The route it speaks of.
        serving_revision: The route it answers by.
        reason: Why it refused, in UPPER_SNAKE; `detail` in words.
        followed_at_us: Its own clock when it said so.
        heard_at_us: This process's clock when it was heard.
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
    heard_at_us: int

    @property
    def serves(self) -> bool:
        """Whether it answers requests."""
        return self.role == "serve"

    def live(self, now_us: int) -> bool:
        """Whether it was heard of within three beats and has not left."""
        beat_us = round((self.beat_seconds or _DEFAULT_BEAT_SECONDS) * 1_000_000)
        return self.uptake is not Uptake.LEFT and now_us - self.followed_at_us <= _BEATS * beat_us

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
