"""Quality of scores against outcomes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from drift_detector.domain.figures import Assessment, Figure, Findings, ranked
from drift_detector.domain.input_monitors import insufficient
from drift_detector.domain.outcomes import EVERYTHING

if TYPE_CHECKING:
    from monitoring.monitors import Performance

    from drift_detector.domain.contents import Contents
    from drift_detector.domain.quality import Quality
    from drift_detector.domain.references import Reference

_BETTER_HIGH: Final = frozenset({"roc_auc", "accuracy", "r_squared"})


def performance(monitor: Performance, contents: Contents, reference: Reference) -> Findings:
    """Compare the quality of the scores with the holdout's; parts are reported and not judged."""
    rows, quality = contents.labelled, contents.quality
    if rows < monitor.minimum_rows or quality is None:
        return too_few_labels(contents, monitor.minimum_rows)
    overall = [
        _overall(monitor, name, value, rows, reference)
        for name, value in quality.metrics(contents.labels[EVERYTHING]).items()
    ]
    judged = next(one for one in overall if one.statistic == monitor.metric)
    parts = [
        Figure("", name, value, Assessment.OK, quality.labelled(tally), part=part)
        for part, tally in sorted(contents.labels.items())
        if part != EVERYTHING and quality.labelled(tally) > 0
        for name, value in quality.metrics(tally).items()
    ]
    told = (judged, *ranked([one for one in overall if one is not judged]), *parts)
    return found(judged, told, contents, _reason(monitor, judged, contents, quality))


def too_few_labels(contents: Contents, least: int) -> Findings:
    """Say that there are too few labels to judge."""
    few = insufficient(contents, contents.labelled, least, "labelled requests")
    return replace(few, coverage=contents.coverage)


def found(judged: Figure, figures: tuple[Figure, ...], contents: Contents, reason: str) -> Findings:
    """Say what one figure decides."""
    clear = judged.assessment is Assessment.OK and judged.clear
    return Findings(judged.assessment, clear, figures, reason, contents.inputs.rows, contents.coverage)


def told_as(value: float) -> str:
    """Write a figure of whatever size with the digits that matter."""
    return f"{value:.4f}" if 0.001 <= abs(value) < 10 else f"{value:.4g}"


def _overall(monitor: Performance, name: str, value: float | None, rows: int, reference: Reference) -> Figure:
    before = reference.metrics.get(name)
    if name != monitor.metric:
        return Figure("", name, value, Assessment.OK, rows, before)
    margin = _margin(monitor, reference)
    if before is None or margin is None:
        return Figure("", name, None if before is None else value, Assessment.NO_REFERENCE, rows)
    start = abs(before) if name == "bias" else before
    sign = -1 if name in _BETTER_HIGH else 1
    threshold = start + sign * margin
    if value is None:
        return Figure("", name, None, Assessment.INSUFFICIENT, rows, before, threshold)
    worse = sign * ((abs(value) if name == "bias" else value) - start)
    weight = worse / margin if margin else (math.inf if worse > 0 else 0.0)
    assessment = Assessment.BREACHED if weight > 1 else Assessment.OK
    clear = weight <= monitor.clear_at
    return Figure("", name, value, assessment, rows, before, threshold, clear=clear, weight=max(0.0, weight))


def _margin(monitor: Performance, reference: Reference) -> float | None:
    """Return how much worse is too much: a share of a regression's errors, for they have the label's unit."""
    share_of = {"rmse": "rmse", "mae": "mae", "bias": "rmse"}.get(monitor.metric)
    if share_of is None:
        return monitor.worse_by
    error = reference.metrics.get(share_of)
    return None if error is None else monitor.worse_by * error


def _reason(monitor: Performance, judged: Figure, contents: Contents, quality: Quality) -> str:
    sample = f"on {judged.rows:,} labelled of {contents.inputs.rows:,} requests"
    if judged.assessment is Assessment.NO_REFERENCE:
        return f"The package of {contents.version} has no {monitor.metric} on a holdout to compare with."
    if judged.value is None or judged.reference is None or judged.threshold is None:
        return f"{monitor.metric} is undefined {sample}: {quality.undefined_because}."
    either = " either way" if monitor.metric == "bias" else ""
    return (
        f"{monitor.metric} is {told_as(judged.value)} and was {told_as(judged.reference)} on the holdout; "
        f"the threshold is {told_as(judged.threshold)}{either}, {sample}."
    )
