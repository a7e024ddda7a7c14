"""Concept drift: a rise in the stream of errors, one mean error a step.

An error is a squared one, of many classes the log loss. The detectors are rebuilt from the kept steps for
every window, so what they say does not depend on when a process started. Errors are divided by the holdout's
mean error: 1 is what was to be expected, and the settings below mean the same for every model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from river.drift import ADWIN, PageHinkley

from drift_detector.domain.figures import Assessment, Figure, Findings
from drift_detector.domain.label_monitors import told_as, too_few_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitoring.monitors import ConceptDrift

    from drift_detector.domain.contents import Contents, Step
    from drift_detector.domain.quality import Quality
    from drift_detector.domain.references import Reference

# Steps, not rows: a step's mean is one observation.
_LEAST_STEPS: Final = 14
_ADWIN_DELTA: Final = 0.002
_PAGE_HINKLEY_SLACK: Final = 0.1
_PAGE_HINKLEY_LIMIT: Final = 4.0
_STATISTICS: Final = {"adwin": "adwin", "page-hinkley": "page_hinkley"}


class Detector(Protocol):
    """Reads a stream and says where it rose."""

    def rises(self, error: float) -> bool:
        """Read one error; say whether the stream has risen."""


class RisingAdwin:
    """ADWIN (Bifet & Gavalda 2007), for rises only: a model that gets better needs no alert."""

    def __init__(self) -> None:
        self._adwin: Any = ADWIN(delta=_ADWIN_DELTA, clock=1, grace_period=_LEAST_STEPS)  # type: ignore[no-untyped-call]

    def rises(self, error: float) -> bool:
        """See `Detector.rises`."""
        before = float(self._adwin.estimation)
        self._adwin.update(error)
        return bool(self._adwin.drift_detected) and float(self._adwin.estimation) > before


class RisingPageHinkley:
    """The Page-Hinkley test (Page 1954), upwards."""

    def __init__(self) -> None:
        self._test: Any = PageHinkley(
            min_instances=_LEAST_STEPS, delta=_PAGE_HINKLEY_SLACK, threshold=_PAGE_HINKLEY_LIMIT, mode="up"
        )

    def rises(self, error: float) -> bool:
        """See `Detector.rises`."""
        self._test.update(error)
        return bool(self._test.drift_detected)


_DETECTORS: Final[dict[str, Callable[[], Detector]]] = {
    "adwin": RisingAdwin,
    "page-hinkley": RisingPageHinkley,
}


def concept_drift(monitor: ConceptDrift, contents: Contents, reference: Reference) -> Findings:
    """Run the detectors over all of the version's steps; a rise in this window's is a breach."""
    rows, quality = contents.labelled, contents.quality
    if rows < monitor.minimum_rows or quality is None:
        return too_few_labels(contents, monitor.minimum_rows)
    expected = quality.expected_error(reference.metrics)
    if not expected:
        lacking = f"The package of {contents.version} has no {quality.error_name} on a holdout"
        reason = f"{lacking} to compare errors with."
        return _findings(Assessment.NO_REFERENCE, (), reason, contents)
    figures = tuple(_figure(name, contents, expected, quality) for name in monitor.detectors)
    risen = [one.statistic for one in figures if one.assessment is Assessment.BREACHED]
    told = f"{' and '.join(risen)} found a rise" if risen else "No detector found a rise"
    mean = figures[0].value or 0.0
    reason = (
        f"{told}: the {quality.error_name} is {told_as(mean)} and was {told_as(expected)} on the holdout, on "
        f"{rows:,} labelled requests, after {len(contents.steps)} steps."
    )
    assessment = Assessment.BREACHED if risen else Assessment.OK
    return _findings(assessment, figures, reason, contents)


def risen_at(detector: Detector, steps: Sequence[Step], expected: float, quality: Quality) -> list[int]:
    """Return the starts of the steps at which a detector saw a rise."""
    return [
        step.start_us
        for step in steps
        if detector.rises(quality.mean_error(step.error, step.rows) / expected)
    ]


def _figure(name: str, contents: Contents, expected: float, quality: Quality) -> Figure:
    inside = [step for step in contents.steps if step.start_us >= contents.window.start_us]
    rows = sum(step.rows for step in inside)
    mean = quality.mean_error(sum(step.error for step in inside), rows) if rows else None
    risen = risen_at(_DETECTORS[name](), contents.steps, expected, quality)
    breached = any(start_us >= contents.window.start_us for start_us in risen)
    assessment = Assessment.BREACHED if breached else Assessment.OK
    weight = 0.0 if mean is None else mean / expected
    return Figure("", _STATISTICS[name], mean, assessment, rows, expected, clear=not breached, weight=weight)


def _findings(
    assessment: Assessment, figures: tuple[Figure, ...], reason: str, contents: Contents
) -> Findings:
    clear = assessment is Assessment.OK
    return Findings(assessment, clear, figures, reason, contents.inputs.rows, contents.coverage)
