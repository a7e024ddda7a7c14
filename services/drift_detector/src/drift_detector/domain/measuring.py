"""From what lies in a window to what a monitor says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never, cast

from monitoring.monitors import (
    ConceptDrift,
    DataQuality,
    FeatureDrift,
    LabelDrift,
    Monitor,
    Performance,
    PredictionDrift,
)

from drift_detector.domain.error_stream import concept_drift
from drift_detector.domain.figures import Assessment, Findings
from drift_detector.domain.input_monitors import data_quality, feature_drift, insufficient, prediction_drift
from drift_detector.domain.label_drift import label_drift
from drift_detector.domain.label_monitors import performance
from drift_detector.domain.windows import Labelled

if TYPE_CHECKING:
    from drift_detector.domain.contents import Contents
    from drift_detector.domain.references import Reference

Known = DataQuality | FeatureDrift | PredictionDrift | LabelDrift | Performance | ConceptDrift


def measure(monitor: Monitor, contents: Contents) -> Findings:
    """Measure a window; whatever cannot be judged is said to be so, with the reason."""
    rows = contents.inputs.rows
    if rows < monitor.minimum_rows:
        findings = insufficient(contents, rows, monitor.minimum_rows)
    elif contents.reference is None:
        reason = f"The package of {contents.version} was not found or has no profile to compare with."
        findings = Findings(Assessment.NO_REFERENCE, clear=False, figures=(), reason=reason, rows=rows)
    elif isinstance(monitor, FeatureDrift | PredictionDrift) and contents.is_partial:
        # Half a week has other weekdays than a week, whatever else is the same.
        reason = (
            f"{contents.version} served a part of the window only; distributions of parts are not compared."
        )
        findings = Findings(Assessment.INSUFFICIENT, clear=False, figures=(), reason=reason, rows=rows)
    else:
        return _measure(cast("Known", monitor), contents, contents.reference)
    return replace(findings, coverage=contents.coverage) if isinstance(monitor, Labelled) else findings


def _measure(monitor: Known, contents: Contents, reference: Reference) -> Findings:
    match monitor:
        case DataQuality():
            return data_quality(monitor, contents, reference)
        case FeatureDrift():
            return feature_drift(monitor, contents, reference)
        case PredictionDrift():
            return prediction_drift(monitor, contents, reference)
        case LabelDrift():
            return label_drift(monitor, contents, reference)
        case Performance():
            return performance(monitor, contents, reference)
        case ConceptDrift():
            return concept_drift(monitor, contents, reference)
        case _:
            assert_never(monitor)
