"""Everything a monitor may look at in one window."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from drift_detector.domain.inputs import InputSketch
from drift_detector.domain.outcomes import EVERYTHING, LabelSketch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drift_detector.domain.quality import Quality
    from drift_detector.domain.references import Reference
    from drift_detector.domain.windows import Window


class Step(NamedTuple):
    """The errors of a stretch of request time.

    Attributes:
        rows: Labelled requests.
        error: Sum of their errors, a whole number; see `Quality.errors`.
    """

    start_us: int
    rows: int
    error: int


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What one version did in a window.

    Attributes:
        version: The one that served most of the window as champion; empty where nobody served.
        reference: None where there is none.
        quality: What outcomes say of this model's answers; None where they say nothing.
        served: From the first to the last grain that it answered in as champion; None where in none.
        steps: The version's steps up to the window's end, oldest first.
    """

    window: Window
    version: str
    reference: Reference | None
    quality: Quality | None = None
    inputs: InputSketch = field(default_factory=InputSketch)
    labels: LabelSketch = field(default_factory=LabelSketch)
    served: Window | None = None
    steps: Sequence[Step] = ()

    @property
    def labelled(self) -> int:
        """How many outcomes are known."""
        return self.quality.labelled(self.labels[EVERYTHING]) if self.quality and self.labels else 0

    @property
    def coverage(self) -> float:
        """The share of requests whose outcome is known; an outcome whose request is lost adds nothing."""
        return min(1.0, self.labelled / self.inputs.rows) if self.inputs.rows else 0.0

    @property
    def is_partial(self) -> bool:
        """Whether the version came or went within the window, but for a tenth at either end."""
        slack_us = (self.window.end_us - self.window.start_us) // 10
        return self.served is None or (
            self.served.start_us > self.window.start_us + slack_us
            or self.served.end_us < self.window.end_us - slack_us
        )

    def with_steps(self, steps: Sequence[Step]) -> Contents:
        """Return the same with the version's steps."""
        return replace(self, steps=steps)
