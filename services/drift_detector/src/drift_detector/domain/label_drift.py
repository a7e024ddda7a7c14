"""Label drift: are outcomes as they were in training?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from drift_detector.domain.class_outcomes import ClassQuality
from drift_detector.domain.figures import Assessment, Figure, ranked
from drift_detector.domain.label_monitors import found, told_as, too_few_labels
from drift_detector.domain.outcomes import EVERYTHING, BinaryQuality, positives
from drift_detector.domain.value_outcomes import ValueQuality

if TYPE_CHECKING:
    from monitoring.monitors import LabelDrift

    from drift_detector.domain.contents import Contents
    from drift_detector.domain.figures import Findings
    from drift_detector.domain.references import Reference


def label_drift(monitor: LabelDrift, contents: Contents, reference: Reference) -> Findings:
    """Compare outcomes with training's labels, as the model's task has it."""
    if contents.labelled < monitor.minimum_rows:
        return too_few_labels(contents, monitor.minimum_rows)
    match contents.quality:
        case BinaryQuality():
            return _positive_rate(monitor, contents, reference)
        case ClassQuality() as quality:
            return _class_shares(monitor, contents, reference, quality)
        case ValueQuality() as quality:
            return _mean(monitor, contents, reference, quality)
        case _:
            return too_few_labels(contents, monitor.minimum_rows)


def _positive_rate(monitor: LabelDrift, contents: Contents, reference: Reference) -> Findings:
    rows = contents.labelled
    rate, before = positives(contents.labels[EVERYTHING]) / rows, reference.profile.label_rate
    if before is None:
        nothing = "the labels that this model was trained on are not of two classes: there is no positive one"
        return _without_reference(contents, nothing)
    figure = _moved(monitor, "", "positive_rate", rate, before, rows)
    reason = (
        f"{rate:.1%} of {rows:,} labelled requests are positive, {before:.1%} were in training; the "
        f"threshold is {monitor.change * 100:g} points either way."
    )
    return found(figure, (figure,), contents, reason)


def _class_shares(
    monitor: LabelDrift, contents: Contents, reference: Reference, quality: ClassQuality
) -> Findings:
    rows, before = contents.labelled, reference.profile.label_shares(len(quality.classes))
    if before is None:
        return _without_reference(
            contents, f"The package of {contents.version} does not tell training's classes."
        )
    counts = quality.by_class(contents.labels[EVERYTHING])
    figures = ranked(
        [
            _moved(monitor, name, "class_share", count / rows, share, rows)
            for name, count, share in zip(quality.classes, counts, before, strict=True)
        ]
    )
    most = figures[0]
    reason = (
        f"{most.value or 0:.1%} of {rows:,} labelled requests are {most.subject}, {most.reference or 0:.1%} "
        f"were in training: no class moved more; the threshold is {monitor.change * 100:g} points either way."
    )
    return found(most, figures, contents, reason)


def _mean(monitor: LabelDrift, contents: Contents, reference: Reference, quality: ValueQuality) -> Findings:
    rows, mean = contents.labelled, quality.mean_label(contents.labels[EVERYTHING])
    before, deviation = reference.profile.label_mean, reference.profile.label_std
    if before is None or not deviation:
        return _without_reference(
            contents,
            f"The package of {contents.version} does not tell the mean and spread of training's labels.",
        )
    if mean is None:
        return replace(
            too_few_labels(contents, 0), reason=f"The mean is undefined: {quality.undefined_because}."
        )
    figure = _moved(monitor, "", "label_mean", mean, before, rows, unit=deviation)
    reason = (
        f"The mean of {rows:,} outcomes is {told_as(mean)} and was {told_as(before)} in training; the "
        f"threshold is {monitor.change:g} of training's standard deviation {told_as(deviation)} either way."
    )
    return found(figure, (figure,), contents, reason)


def _moved(
    monitor: LabelDrift,
    subject: str,
    statistic: str,
    value: float,
    before: float,
    rows: int,
    *,
    unit: float = 1.0,
) -> Figure:
    """Judge how far a figure has moved, in units, up or down."""
    change = (value - before) / unit
    weight = abs(change) / monitor.change
    return Figure(
        subject,
        statistic,
        value,
        Assessment.BREACHED if weight > 1 else Assessment.OK,
        rows,
        before,
        before + (monitor.change if change >= 0 else -monitor.change) * unit,
        clear=weight <= monitor.clear_at,
        weight=weight,
    )


def _without_reference(contents: Contents, reason: str) -> Findings:
    return replace(too_few_labels(contents, 0), assessment=Assessment.NO_REFERENCE, reason=reason)
