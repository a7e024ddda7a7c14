"""What is watched of the flights' model, and when somebody is told."""

from __future__ import annotations

from datetime import timedelta

from monitoring.monitors import (
    ConceptDrift,
    DataQuality,
    FeatureDrift,
    LabelDrift,
    Performance,
    PredictionDrift,
    Severity,
)
from monitoring.served import Consistency, Freshness

MODEL = "flight-delay"
DAY, WEEK = timedelta(days=1), timedelta(days=7)

# A day's flights are enough to see that a field is missing, and nobody should wait for the week to end.
# Stations miss some hours of pressure now and then: less than a fifth more than usual is no broken feed.
input_quality = DataQuality(
    "input-quality",
    model=MODEL,
    window=DAY,
    missing=0.20,
    out_of_range=0.05,
    new_categories=0.02,
    severity=Severity.CRITICAL,
)

# Days of weather differ too much to be told from drift; two odd weeks in a row do not happen by weather.
input_drift = FeatureDrift(
    "input-drift", model=MODEL, window=WEEK, psi=0.25, least_features=2, fire_after=2, clear_after=2
)
score_drift = PredictionDrift("score-drift", model=MODEL, window=WEEK, psi=0.25, fire_after=2, clear_after=2)

# Flights end within hours: two days after a week its labels are in.
label_drift = LabelDrift(
    "label-drift",
    model=MODEL,
    window=WEEK,
    change=0.10,
    maturity=timedelta(days=2),
    fire_after=2,
    clear_after=2,
    severity=Severity.INFO,
)
quality = Performance(
    "quality",
    model=MODEL,
    window=WEEK,
    metric="roc_auc",
    worse_by=0.05,
    coverage=0.97,
    maturity=timedelta(days=2),
    fire_after=2,
    clear_after=2,
)
error_stream = ConceptDrift(
    "error-stream",
    model=MODEL,
    window=WEEK,
    detectors=("adwin", "page-hinkley"),
    step=DAY,
    maturity=timedelta(days=2),
    severity=Severity.INFO,
)

# Some three hundred vectors a week are recomputed from the lake: not one bit may differ.
SAMPLE = 0.05
served = Consistency("served", model=MODEL, window=WEEK, sample=SAMPLE)
freshness = Freshness("freshness", model=MODEL, window=WEEK, sample=SAMPLE)
