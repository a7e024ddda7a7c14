"""Replicas as JSON."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field

from control_plane.domain.followers import Follower
from control_plane.domain.times import moment


class FollowerOfRoute(BaseModel):
    """A replica, and the route it answers by."""

    replica: str
    role: Annotated[str, Field(examples=["serve", "stream", "shadow"])]
    revision: Annotated[int, Field(description="The newest route it spoke of.")]
    serving_revision: Annotated[int, Field(description="The route it answers by.")]
    uptake: Annotated[str, Field(examples=["followed", "refused"])]
    reason: str
    detail: str
    followed_at: Annotated[datetime, Field(description="When it took the route up, by the replica's clock.")]
    age_seconds: Annotated[float, Field(description="How long ago it was heard last.")]

    @classmethod
    def of(cls, follower: Follower, now_us: int) -> Self:
        """Shows a replica."""
        return cls(
            replica=follower.replica,
            role=follower.role,
            revision=follower.revision,
            serving_revision=follower.serving_revision,
            uptake=follower.uptake.lower(),
            reason=follower.reason,
            detail=follower.detail,
            followed_at=moment(follower.followed_at_us),
            age_seconds=max(0, now_us - follower.heard_at_us) / 1_000_000,
        )
