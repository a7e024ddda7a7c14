"""What is said of a window."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitoring.monitors import Monitor

    from drift_detector.domain.windows import Window


class Assessment(StrEnum):
    """What a figure says about its threshold; the names are `tidemark.monitoring.v1.Assessment`'s."""

    OK = "OK"
    BREACHED = "BREACHED"
    INSUFFICIENT = "INSUFFICIENT"
    NO_REFERENCE = "NO_REFERENCE"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number about one subject.

    Attributes:
        subject: A feature's full name or a slice's; empty for the model as a whole.
        part: "carrier=UA", or empty for all requests.
        value: None where it is undefined.
        reference: None where the reference has none.
        threshold: None for what is only reported.
        rows: The sample behind the value.
        clear: Within its clearing threshold.
        weight: How telling it is: 1 at the threshold.
    """

    subject: str
    statistic: str
    value: float | None
    assessment: Assessment
    rows: int
    reference: float | None = None
    threshold: float | None = None
    part: str = ""
    clear: bool = True
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Findings:
    """What a monitor finds in a window.

    Attributes:
        clear: Within the clearing thresholds as a whole.
        figures: The most telling first.
        reason: One sentence with the numbers behind the assessment.
        rows: Requests the version answered.
        coverage: Labelled requests over requests; None for what needs no labels.
    """

    assessment: Assessment
    clear: bool
    figures: tuple[Figure, ...]
    reason: str
    rows: int
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A monitor measured a window.

    Attributes:
        revision: From 0; a higher one supersedes.
        amends: An earlier revision was final already.
        decided_us: The boundary at which the figures were taken.
    """

    monitor: Monitor
    version: str
    window: Window
    revision: int
    amends: bool
    decided_us: int
    findings: Findings


def ranked(figures: list[Figure]) -> tuple[Figure, ...]:
    """Return figures with the most telling first; ties by name."""
    breached_first = {Assessment.BREACHED: 0, Assessment.OK: 1}
    return tuple(
        sorted(
            figures,
            key=lambda one: (
                breached_first.get(one.assessment, 2),
                -one.weight,
                one.subject,
                one.part,
                one.statistic,
            ),
        )
    )
