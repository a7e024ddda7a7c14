"""Monitors that need no labels: data quality, feature drift, prediction drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring import ks, psi

from drift_detector.domain.figures import Assessment, Figure, Findings, ranked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from monitoring.monitors import DataQuality, FeatureDrift, PredictionDrift
    from numpy.typing import NDArray

    from drift_detector.domain.contents import Contents
    from drift_detector.domain.references import Reference

_NAMED = 3


def data_quality(monitor: DataQuality, contents: Contents, reference: Reference) -> Findings:
    """Compare shares of rows with the reference's: missing, out of range, categories never seen."""
    figures = [*_missing(monitor, contents, reference), *_outside(monitor, contents, reference)]
    figures += _unseen(monitor, contents, reference)
    breached = [one for one in figures if one.assessment is Assessment.BREACHED]
    quiet = f"All of {len(figures)} shares are within their thresholds on {contents.inputs.rows:,} requests."
    told = f"{_listed(ranked(breached))}, on {contents.inputs.rows:,} requests."
    return _findings(figures, len(breached), 1, contents, told if breached else quiet)


def feature_drift(monitor: FeatureDrift, contents: Contents, reference: Reference) -> Findings:
    """Compare each feature's distribution with its own in training."""
    psis = [_feature_psi(monitor, contents, reference, name) for name in _features(monitor, reference)]
    tests = [_feature_ks(monitor, contents, reference, one) for one in psis if one.value is not None]
    breached = [one for one in psis if one.assessment is Assessment.BREACHED]
    lead = f"{len(breached)} of {len(psis)} features beyond their thresholds"
    lacking = [one.subject for one in psis if one.assessment is Assessment.NO_REFERENCE]
    unknown = f"; the reference lacks {', '.join(lacking)}" if lacking else ""
    told = f"{lead}, it takes {monitor.least_features}{_colon(ranked(breached))}"
    reason = f"{told}, on {contents.inputs.rows:,} requests{unknown}."
    return _findings([*psis, *tests], len(breached), monitor.least_features, contents, reason)


def prediction_drift(monitor: PredictionDrift, contents: Contents, reference: Reference) -> Findings:
    """Compare the scores with those on the holdout."""
    prediction = reference.profile.prediction
    if not len(contents.inputs.bins):
        return insufficient(contents, 0, monitor.minimum_rows)
    fine = reference.score_bins(contents.inputs.bins)
    rows = int(fine.sum())
    value = psi(prediction.counts, prediction.coarsen(fine))
    figure = _judged("", "psi", value, monitor.psi, rows, monitor.clear_at)
    test = ks(prediction.fine_counts, fine)
    figures = [figure]
    if test is not None:
        figures.append(Figure("", "ks", test.statistic, Assessment.OK, rows))
    if rows < monitor.minimum_rows:
        return insufficient(contents, rows, monitor.minimum_rows)
    told = "undefined" if value is None else f"{value:.3f}"
    reason = (
        f"PSI of the scores against the holdout's is {told}, threshold {monitor.psi:g}, on {rows:,} requests."
    )
    breached = figure.assessment is Assessment.BREACHED
    return _findings(figures, int(breached), 1, contents, reason)


def insufficient(contents: Contents, rows: int, least: int, what: str = "requests") -> Findings:
    """Say that there is too little to judge."""
    reason = f"{rows:,} {what} in the window; a judgement takes {least:,}."
    return Findings(
        Assessment.INSUFFICIENT, clear=False, figures=(), reason=reason, rows=contents.inputs.rows
    )


def _missing(monitor: DataQuality, contents: Contents, reference: Reference) -> list[Figure]:
    rows = contents.inputs.profiled
    figures = []
    for at, name in _columns(monitor.feature_names, reference):
        profile = reference.columns[at]
        if profile is None or not len(contents.inputs.missing):
            figures.append(Figure(name, "missing_share", None, Assessment.NO_REFERENCE, rows))
            continue
        share = int(contents.inputs.missing[at]) / rows if rows else None
        rise = profile.missing_threshold(monitor.missing, monitor.window_us) - profile.missing_share
        figures.append(_risen(name, "missing_share", share, profile.missing_share, rise, rows, monitor))
    return figures


def _outside(monitor: DataQuality, contents: Contents, reference: Reference) -> list[Figure]:
    figures = []
    for at, name in _columns(monitor.feature_names, reference):
        profile = reference.columns[at]
        if profile is None or profile.minimum is None or not len(contents.inputs.outside):
            continue
        rows = contents.inputs.profiled - int(contents.inputs.missing[at])
        share = int(contents.inputs.outside[at]) / rows if rows else None
        figures.append(_risen(name, "out_of_range_share", share, 0.0, monitor.out_of_range, rows, monitor))
    return figures


def _unseen(monitor: DataQuality, contents: Contents, reference: Reference) -> list[Figure]:
    rows = contents.inputs.profiled
    return [
        _risen(
            name,
            "new_category_share",
            contents.inputs.unseen.get(name, 0) / rows if rows else None,
            0.0,
            monitor.new_categories,
            rows,
            monitor,
        )
        for name in sorted(reference.seen)
    ]


def _risen(
    subject: str,
    statistic: str,
    share: float | None,
    before: float,
    rise: float,
    rows: int,
    monitor: DataQuality,
) -> Figure:
    threshold = before + rise
    if share is None or rows < monitor.minimum_rows:
        return Figure(subject, statistic, share, Assessment.INSUFFICIENT, rows, before, threshold)
    risen = (share - before) / rise
    assessment = Assessment.BREACHED if risen > 1 else Assessment.OK
    clear = risen <= monitor.clear_at
    return Figure(
        subject, statistic, share, assessment, rows, before, threshold, clear=clear, weight=max(0.0, risen)
    )


def _feature_psi(monitor: FeatureDrift, contents: Contents, reference: Reference, name: str) -> Figure:
    profile = reference.profile.features.get(name)
    if profile is None or not profile.rows or not len(contents.inputs.bins):
        return Figure(name, "psi", None, Assessment.NO_REFERENCE, 0)
    fine = reference.bins_of(contents.inputs.bins, name)
    threshold = profile.drift_threshold(monitor.psi, monitor.window_us)
    rows = int(fine.sum())
    value = psi(profile.counts, profile.coarsen(fine))
    if rows < monitor.minimum_rows:
        return Figure(name, "psi", value, Assessment.INSUFFICIENT, rows, threshold=threshold)
    return _judged(name, "psi", value, threshold, rows, monitor.clear_at)


def _feature_ks(monitor: FeatureDrift, contents: Contents, reference: Reference, figure: Figure) -> Figure:
    fine: NDArray[np.int64] = reference.bins_of(contents.inputs.bins, figure.subject)
    test = ks(reference.profile.features[figure.subject].fine_counts, fine)
    enough = figure.rows >= monitor.minimum_rows
    assessment = Assessment.OK if enough else Assessment.INSUFFICIENT
    return Figure(figure.subject, "ks", None if test is None else test.statistic, assessment, figure.rows)


def _judged(
    subject: str, statistic: str, value: float | None, threshold: float, rows: int, clear_at: float
) -> Figure:
    if value is None:
        return Figure(subject, statistic, None, Assessment.INSUFFICIENT, rows, threshold=threshold)
    assessment = Assessment.BREACHED if value > threshold else Assessment.OK
    clear = value <= clear_at * threshold
    return Figure(
        subject, statistic, value, assessment, rows, None, threshold, clear=clear, weight=value / threshold
    )


def _features(monitor: FeatureDrift, reference: Reference) -> list[str]:
    return [name for _, name in _columns(monitor.feature_names, reference)]


def _columns(wanted: Sequence[str] | None, reference: Reference) -> list[tuple[int, str]]:
    known = {name: at for at, name in enumerate(reference.names)}
    return [(known[name], name) for name in (reference.names if wanted is None else wanted) if name in known]


def _findings(figures: list[Figure], breached: int, least: int, contents: Contents, reason: str) -> Findings:
    """Sum figures up: so many breached ones make a breach, and fewer than that beyond clearing are clear."""
    judged = [one for one in figures if one.assessment in {Assessment.OK, Assessment.BREACHED}]
    told = ranked(figures)
    rows = contents.inputs.rows
    if breached >= least:
        return Findings(Assessment.BREACHED, clear=False, figures=told, reason=reason, rows=rows)
    if not judged:
        insufficient_ones = any(one.assessment is Assessment.INSUFFICIENT for one in figures)
        assessment = Assessment.INSUFFICIENT if insufficient_ones else Assessment.NO_REFERENCE
        return Findings(
            assessment, clear=False, figures=told, reason=_why_not(assessment, contents), rows=rows
        )
    clear = sum(not one.clear for one in figures) < least
    return Findings(Assessment.OK, clear=clear, figures=told, reason=reason, rows=rows)


def _why_not(assessment: Assessment, contents: Contents) -> str:
    if assessment is Assessment.NO_REFERENCE:
        return f"Nothing of {contents.version}'s reference is about what this monitor watches."
    return f"{contents.inputs.rows:,} requests in the window are too few to judge any figure."


def _colon(figures: Sequence[Figure]) -> str:
    return f": {_listed(figures)}" if figures else ""


def _listed(figures: Sequence[Figure]) -> str:
    named = [
        f"{one.subject or 'scores'} {one.statistic.replace('_', ' ')} {one.value or 0:.3g} "
        f"(threshold {one.threshold or 0:.3g})"
        for one in figures[:_NAMED]
    ]
    more = len(figures) - _NAMED
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")
