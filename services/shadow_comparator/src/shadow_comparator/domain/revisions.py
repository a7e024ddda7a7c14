"""What is said about a window, and when it is said anew."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from shadow_comparator.domain.maturing import Stage
from shadow_comparator.domain.measures import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitoring import Differences

    from shadow_comparator.domain.comparing import Comparison
    from shadow_comparator.domain.verdicts import Judgement
    from shadow_comparator.domain.windows import Window


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """A champion and its challenger."""

    model: str
    champion: str
    challenger: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A revision of what is said about a pair over a window.

    Attributes:
        provisional: The window has not matured.
        watermark_us: Of event time when it was decided.
    """

    window: Window
    window_end_us: int
    revision: int
    provisional: bool
    comparison: Comparison
    judgement: Judgement
    watermark_us: int

    @property
    def pair(self) -> Pair:
        """Who was compared."""
        return Pair(self.window.model, self.comparison.champion.version, self.comparison.challenger.version)

    @property
    def figures(self) -> bytes:
        """A digest of what is said: the same figures and verdict need no new revision."""
        said = repr((self.provisional, self.comparison, self.judgement.verdict))
        return blake2b(said.encode(), digest_size=16).digest()

    @property
    def weight(self) -> Differences:
        """What the window adds to the evidence: nothing before it has matured."""
        return NOTHING if self.provisional else self.comparison.differences


@dataclass(frozen=True, slots=True)
class Stored:
    """The newest revision of what was said.

    Attributes:
        is_published: Its event is known to have left.
        event: Byte for byte as first decided.
    """

    revision: int
    is_published: bool
    figures: bytes
    event: bytes


def evidence_up_to(
    window: Window, stage: Stage, own: Differences, others: Mapping[int, Differences]
) -> list[Differences]:
    """Return the evidence on which a window's verdict rests: the matured windows up to it, in their order.

    Earlier windows only, so that the verdict on a window is not a matter of when it was asked for.
    """
    matured = {start_us: found for start_us, found in others.items() if start_us < window.start_us}
    if stage >= Stage.COVERED:
        matured[window.start_us] = own
    return [matured[start_us] for start_us in sorted(matured)]
