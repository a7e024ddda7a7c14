"""Comparisons of two versions over a window, as the shadow-comparator tells them."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a comparison concludes about the challenger."""

    UNSPECIFIED = "UNSPECIFIED"
    BETTER = "BETTER"
    WORSE = "WORSE"
    EQUIVALENT = "EQUIVALENT"
    INSUFFICIENT = "INSUFFICIENT"
    UNDEFINED = "UNDEFINED"


@dataclass(frozen=True, slots=True)
class Quality:
    """One version's figures over the window's labelled requests.

    Attributes:
        figures: By name, as the model's task has them; what is undefined is not there.
    """

    labelled: int = 0
    figures: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Champion and challenger over a window, [start, end) by request time.

    Attributes:
        provisional: Its labels have not matured; it decides nothing.
        watermark_us: How far event time had come when it was said.
        paired: Requests that both scored.
    """

    model: str
    champion: str
    challenger: str
    window_start_us: int
    window_end_us: int
    revision: int
    provisional: bool
    verdict: Verdict
    reason: str
    watermark_us: int
    paired: int = 0
    champion_quality: Quality = Quality()
    challenger_quality: Quality = Quality()

    def quality_of(self, version: str) -> Quality:
        """Gives the figures of one of the two."""
        return self.champion_quality if version == self.champion else self.challenger_quality
