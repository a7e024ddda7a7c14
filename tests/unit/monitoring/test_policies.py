"""Policies: what makes no sense, or does not fit models and monitors, is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from monitoring import DeclarationError
from monitoring.monitors import ConceptDrift, DataQuality, FeatureDrift, Monitor, Performance
from monitoring.policies import (
    NewLabels,
    PerformanceDecay,
    PersistentDrift,
    Policy,
    Schedule,
    check_policies,
)

MODELS = {"flight-delay": ["distance_miles"], "other": ["x"]}
MONITORS: list[Monitor] = [
    DataQuality("input-quality", model="flight-delay"),
    FeatureDrift("input-drift", model="flight-delay"),
    ConceptDrift("error-stream", model="flight-delay"),
    Performance("quality", model="flight-delay"),
    DataQuality("input-quality", model="other"),
]
OF: dict[str, Any] = {"model": "flight-delay"}


def test_what_fits_is_let_through() -> None:
    policies = [
        PersistentDrift("persistent-drift", **OF, monitor="input-drift", windows=3, least_new_labels=70_000),
        PersistentDrift("errors", **OF, monitor="error-stream", algorithm="gradient-boosting"),
        PerformanceDecay("decay", **OF, monitor="quality", windows=2),
        NewLabels("new-labels", **OF, count=200_000),
        Schedule("half-yearly", **OF, cron="0 6 1 3,9 *"),
        Schedule("half-yearly", model="other", cron="0 6 1 3,9 *"),
    ]
    check_policies(policies, MONITORS, MODELS, {"flight-delay": ["gradient-boosting"], "other": []})


def test_durations_are_told_in_microseconds() -> None:
    policy = Schedule("s", **OF, cron="* * * * *", train_window=timedelta(days=1), cooldown=timedelta(0))
    assert policy.train_window_us == 86_400_000_000
    assert policy.cooldown_us == 0
    assert policy.expires_after_us == policy.veto_within_us == 7 * 86_400_000_000
    assert Schedule("s", **OF, cron="* * * * *").train_window_us is None


@pytest.mark.parametrize(
    "cron", ["* * * * *", "0 6 1 3,9 *", "*/15 0-6 1-31/2 * 1-5", "59 23 31 12 7", "0 0 1,15 * 0"]
)
def test_schedules_of_numbers_are_taken(cron: str) -> None:
    assert Schedule("s", **OF, cron=cron).cron == cron


@pytest.mark.parametrize(
    ("kind", "arguments", "said"),
    [
        (Schedule, {"cron": "0 6 1 3"}, "has 4 fields"),
        (Schedule, {"cron": ""}, "has 0 fields"),
        (Schedule, {"cron": None}, "has 0 fields"),
        (Schedule, {"cron": "60 6 1 3 *"}, "'60' for its minute"),
        (Schedule, {"cron": "0 24 1 3 *"}, "'24' for its hour"),
        (Schedule, {"cron": "0 6 0 3 *"}, "'0' for its day of month"),
        (Schedule, {"cron": "0 6 1 mar *"}, "'mar' for its month"),
        (Schedule, {"cron": "0 6 1 3 5-1"}, "'5-1' for its day of week"),
        (Schedule, {"cron": "*/0 6 1 3 *"}, "'*/0' for its minute"),
        (Schedule, {"cron": "0 6 1 3, *"}, "'3,' for its month"),
        (NewLabels, {"count": 0}, "count is 0"),
        (NewLabels, {"count": 1, "cooldown": timedelta(days=-1)}, "cooldown is"),
        (NewLabels, {"count": 1, "expires_after": timedelta(0)}, "expires_after is"),
        (NewLabels, {"count": 1, "veto_within": 7}, "veto_within is 7"),
        (NewLabels, {"count": 1, "least_label_coverage": 1.5}, "least_label_coverage is 1.5"),
        (NewLabels, {"count": 1, "train_window": timedelta(0)}, "train_window is"),
        (NewLabels, {"count": 1, "algorithm": "Big Model"}, "algorithm 'Big Model'"),
        (PersistentDrift, {"monitor": "input-drift", "windows": 0}, "windows is 0"),
        (PersistentDrift, {"monitor": "input-drift", "least_new_labels": -1}, "least_new_labels is -1"),
        (PerformanceDecay, {"monitor": "quality", "windows": "2"}, "windows is '2'"),
    ],
)
def test_what_makes_no_sense_is_refused(kind: type[Policy], arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        kind("policy", **OF, **arguments)
    assert said in str(raised.value)
    assert str(raised.value).startswith(f"{__file__}:")


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (Schedule("s", model="flights", cron="* * * * *"), "no model 'flights'"),
        (Schedule("s", **OF, cron="* * * * *", algorithm="gbm"), "has no algorithm 'gbm'. Known: trees."),
        (PersistentDrift("p", **OF, monitor="input-drif"), "Did you mean 'input-drift'?"),
        (PersistentDrift("p", model="other", monitor="input-drift"), "'other' has no monitor 'input-drift'"),
        (PersistentDrift("p", **OF, monitor="quality"), "watches PERFORMANCE, which it cannot follow"),
        (PersistentDrift("p", **OF, monitor="input-quality"), "the model has input-drift, error-stream"),
        (PerformanceDecay("p", **OF, monitor="input-drift"), "the model has quality"),
        (NewLabels("n", model="other", count=1), "a Performance monitor tells, and model 'other' has none"),
    ],
)
def test_policies_must_fit_models_and_monitors(policy: Policy, said: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        check_policies([policy], MONITORS, MODELS, {"flight-delay": ["trees"]})
    assert said in str(raised.value)


def test_two_policies_of_a_model_may_not_share_a_name() -> None:
    policies = [Schedule("p", **OF, cron="* * * * *"), NewLabels("p", **OF, count=1)]
    with pytest.raises(DeclarationError, match="has a policy of this name already"):
        check_policies(policies, MONITORS, MODELS)
