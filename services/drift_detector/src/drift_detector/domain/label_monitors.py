"""Monitors of outcomes: label drift and performance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from drift_detector.domain.figures import Assessment, Figure, Findings, ranked
from drift_detector.domain.input_monitors import insufficient
from drift_detector.domain.outcomes import EVERYTHING, labelled, metrics_of, positives

if TYPE_CHECKING:
    from monitoring.monitors import LabelDrift, Performance

    from drift_detector.domain.contents import Contents
    from drift_detector.domain.references import Reference

_BETTER_HIGH: Final = frozenset({"roc_auc", "accuracy"})


def label_drift(monitor: LabelDrift, contents: Contents, reference: Reference) -> Findings:
    """Compare the share of positives with training's."""
    rows = contents.labels.rows
    if rows < monitor.minimum_rows:
        return too_few_labels(contents, monitor.minimum_rows)
    rate, before = positives(contents.labels[EVERYTHING]) / rows, reference.profile.label_rate
    if before is None:
        nothing = "the labels that this model was trained on are not of two classes: there is no positive one"
        return replace(too_few_labels(contents, 0), assessment=Assessment.NO_REFERENCE, reason=nothing)
    change = rate - before
    weight = abs(change) / monitor.change
    figure = Figure(
        "",
        "positive_rate",
        rate,
        Assessment.BREACHED if weight > 1 else Assessment.OK,
        rows,
        before,
        before + (monitor.change if change >= 0 else -monitor.change),
        clear=weight <= monitor.clear_at,
        weight=weight,
    )
    reason = (
        f"{rate:.1%} of {rows:,} labelled requests are positive, {before:.1%} were in training; the "
        f"threshold is {monitor.change * 100:g} points either way."
    )
    return _told(figure, (figure,), contents, reason)


def performance(monitor: Performance, contents: Contents, reference: Reference) -> Findings:
    """Compare the quality of the scores with the holdout's; parts are reported and not judged."""
    rows = contents.labels.rows
    if rows < monitor.minimum_rows:
        return too_few_labels(contents, monitor.minimum_rows)
    overall = [
        _overall(monitor, name, value, rows, reference) for name, value in _metrics(contents, EVERYTHING)
    ]
    judged = next(one for one in overall if one.statistic == monitor.metric)
    parts = [
        Figure("", name, value, Assessment.OK, labelled(contents.labels[part]), part=part)
        for part in sorted(set(contents.labels) - {EVERYTHING})
        for name, value in _metrics(contents, part)
        if labelled(contents.labels[part]) > 0
    ]
    told = (judged, *ranked([one for one in overall if one is not judged]), *parts)
    return _told(judged, told, contents, _reason(monitor, judged, contents))


def too_few_labels(contents: Contents, least: int) -> Findings:
    """Say that there are too few labels to judge."""
    found = insufficient(contents, contents.labels.rows, least, "labelled requests")
    return replace(found, coverage=contents.coverage)


def _metrics(contents: Contents, part: str) -> list[tuple[str, float | None]]:
    return list(metrics_of(contents.labels[part]).items())


def _overall(monitor: Performance, name: str, value: float | None, rows: int, reference: Reference) -> Figure:
    before = reference.metrics.get(name)
    if name != monitor.metric:
        return Figure("", name, value, Assessment.OK, rows, before)
    if before is None:
        return Figure("", name, value, Assessment.NO_REFERENCE, rows)
    sign = -1 if name in _BETTER_HIGH else 1
    threshold = before + sign * monitor.worse_by
    if value is None:
        return Figure("", name, None, Assessment.INSUFFICIENT, rows, before, threshold)
    weight = sign * (value - before) / monitor.worse_by
    assessment = Assessment.BREACHED if weight > 1 else Assessment.OK
    clear = weight <= monitor.clear_at
    return Figure("", name, value, assessment, rows, before, threshold, clear=clear, weight=max(0.0, weight))


def _reason(monitor: Performance, judged: Figure, contents: Contents) -> str:
    sample = f"on {judged.rows:,} labelled of {contents.inputs.rows:,} requests"
    if judged.assessment is Assessment.NO_REFERENCE:
        return f"The package of {contents.version} has no {monitor.metric} on a holdout to compare with."
    if judged.value is None or judged.reference is None:
        return f"{monitor.metric} is undefined {sample}: all have one outcome."
    return (
        f"{monitor.metric} is {judged.value:.4f} and was {judged.reference:.4f} on the holdout; the "
        f"threshold is {judged.threshold:.4f}, {sample}."
    )


def _told(judged: Figure, figures: tuple[Figure, ...], contents: Contents, reason: str) -> Findings:
    clear = judged.assessment is Assessment.OK and judged.clear
    return Findings(judged.assessment, clear, figures, reason, contents.inputs.rows, contents.coverage)
