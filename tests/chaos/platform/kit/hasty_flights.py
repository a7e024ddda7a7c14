"""The flights in a hurry: watched by the day, soon retrained, and no answer without its record.

The example's weeks and months, shortened so that a test lives through the whole loop in five days of flights.
"""

from dataclasses import replace
from datetime import timedelta

from monitoring.monitors import DataQuality, FeatureDrift, Performance
from monitoring.policies import Schedule

from examples.flights import features, model
from examples.flights.features import *  # noqa: F403 - a project is what its modules declare
from examples.flights.labels import *  # noqa: F403 - as above

DAY = timedelta(days=1)

flight_delay = replace(model.flight_delay, log="durable")

input_quality = DataQuality("input-quality", model="flight-delay", window=DAY, missing=0.9, out_of_range=0.9)
input_drift = FeatureDrift("input-drift", model="flight-delay", window=DAY, psi=0.25, least_features=2)
quality = Performance(
    "quality",
    model="flight-delay",
    window=DAY,
    metric="roc_auc",
    worse_by=0.05,
    coverage=0.97,
    maturity=DAY / 2,
)
on_the_twelfth = Schedule(
    "on-the-twelfth",
    model="flight-delay",
    cron="0 0 12 * *",
    cooldown=DAY,
    expires_after=timedelta(days=7),
    veto_within=DAY,
    least_label_coverage=0.5,
)

arrivals = features.arrivals
