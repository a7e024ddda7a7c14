"""When a retraining of the flights' model is worth asking a human for."""

from __future__ import annotations

from datetime import timedelta

from monitoring.policies import PerformanceDecay, PersistentDrift, Schedule

from examples.flights.monitors import MODEL, input_drift, quality

FORTNIGHT, WEEK, SEASON = timedelta(days=14), timedelta(days=7), timedelta(days=90)

# Drifted inputs alone are no reason: there must be nearly as many new flights to learn from as it knows. They
# drift with every season, so that one retraining a season is what they are worth.
persistent_drift = PersistentDrift(
    "persistent-drift",
    model=MODEL,
    monitor=input_drift.name,
    windows=3,
    least_new_labels=65_000,
    cooldown=SEASON,
    expires_after=WEEK,
    veto_within=WEEK,
    least_label_coverage=0.9,
)
decay = PerformanceDecay(
    "decay",
    model=MODEL,
    monitor=quality.name,
    windows=3,
    cooldown=timedelta(days=60),
    expires_after=WEEK,
    veto_within=WEEK,
    least_label_coverage=0.9,
)
# The timetable changes in spring and in autumn.
half_yearly = Schedule(
    "half-yearly",
    model=MODEL,
    cron="0 6 1 3,9 *",
    cooldown=FORTNIGHT,
    expires_after=WEEK,
    veto_within=WEEK,
    least_label_coverage=0.9,
)
