"""When a window's figures are worth saying, and when they are final."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shadow_comparator.domain.windows import Glimpse


class Stage(IntEnum):
    """How final a window is."""

    OPEN = 0
    """Requests may still come."""
    CLOSED = 1
    """The watermark has passed its end; labels are coming in."""
    COVERED = 2
    """Enough of its requests are labelled."""
    AGED = 3
    """Old enough for whatever labels it will get; what still comes is a correction."""


@dataclass(frozen=True, slots=True)
class WindowPolicy:
    """How windows are cut and when they mature.

    Attributes:
        coverage: The share of labelled requests from which a window counts as mature.
        maturity_us: The age, beyond its end, from which it does whatever its coverage.
        step: The share of its requests that must have been labelled or corrected since the last figures for
            new ones to be worth saying meanwhile.
    """

    length_us: int
    coverage: float
    maturity_us: int
    step: float

    def stage(self, start_us: int, coverage: float, watermark_us: int) -> Stage:
        """Say how final a window is."""
        end_us = start_us + self.length_us
        if watermark_us < end_us:
            return Stage.OPEN
        if watermark_us >= end_us + self.maturity_us:
            return Stage.AGED
        return Stage.COVERED if coverage >= self.coverage else Stage.CLOSED


@dataclass(frozen=True, slots=True)
class Look:
    """What was there when a window was last looked into."""

    stage: Stage
    changes: int


def worth_looking(
    glimpse: Glimpse, last: Look | None, policy: WindowPolicy, watermark_us: int, *, quiet: bool
) -> Look | None:
    """Decide whether to look into a window again, and as what.

    A window is looked into when it closes, when it matures, whenever a step of its requests has changed,
    and when nothing more is coming for now. So the figures that stand in the end are those of everything
    that came, and the number of figures is bounded by steps, not by labels.

    Returns:
        What to remember of this look; None when there is nothing worth looking for.
    """
    coverage = glimpse.labelled / glimpse.requests if glimpse.requests else 0.0
    look = Look(policy.stage(glimpse.start_us, coverage, watermark_us), glimpse.changes)
    if look.stage is Stage.OPEN or look == last:
        return None
    if last is None or look.stage > last.stage:
        return look
    changed = look.changes - last.changes
    is_step = changed >= max(1.0, policy.step * glimpse.requests)
    return look if is_step or (quiet and changed) else None
