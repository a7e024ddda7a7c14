"""What a decision says to the world; each is told under an id that follows from it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrain_trigger.domain.state import Alarm, Figure, Refusal, Request


@dataclass(frozen=True, slots=True)
class Asked:
    """A human is asked."""

    request: Request

    @property
    def id(self) -> str:
        """Unique; the request's own."""
        return self.request.request_id


@dataclass(frozen=True, slots=True)
class Approved:
    """A human said yes, and nothing speaks against it."""

    request: Request
    approved_by: str
    comment: str
    approved_at_us: int

    @property
    def id(self) -> str:
        """Unique; a request is approved once."""
        return f"{self.request.request_id}:approved"


@dataclass(frozen=True, slots=True)
class Refused:
    """There will be no retraining.

    Attributes:
        wish: Names what was refused, whether it was asked for or not.
        was_asked: Whether `wish` is a request's id.
    """

    wish: str
    was_asked: bool
    policy: str
    refusal: Refusal
    reason: str
    figures: tuple[Figure, ...]
    refused_at_us: int

    @property
    def id(self) -> str:
        """Unique; a wish is refused once."""
        return f"{self.wish}:refused"


@dataclass(frozen=True, slots=True)
class AlarmChanged:
    """An alert fired, went on or is over."""

    model: str
    alarm: Alarm

    @property
    def fingerprint(self) -> str:
        """What is wrong with what."""
        return f"{self.model}:{self.alarm.name}"

    @property
    def id(self) -> str:
        """Unique; a state of an alert is told once."""
        return f"alert:{self.fingerprint}:{self.alarm.episode}:{self.alarm.revision}"


Effect = Asked | Approved | Refused | AlarmChanged
