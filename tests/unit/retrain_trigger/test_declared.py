"""What a project declares is checked against what it has."""

from __future__ import annotations

from datetime import timedelta

import pytest
from feature_store import DefinitionError
from monitoring import DeclarationError
from monitoring.policies import Schedule
from retrain_trigger.declared import check_schedules, rules_of
from retrain_trigger.domain.times import is_due, iso, next_time, words

DAY_US = 86_400_000_000


def test_the_flights_policies_are_those_of_their_model() -> None:
    (rules,) = rules_of("examples.flights").values()
    assert [policy.name for policy in rules.policies] == ["persistent-drift", "decay", "half-yearly"]
    assert rules.tells_labels
    assert rules.most_windows == 3
    assert rules.longest_veto_us == 7 * DAY_US


def test_a_project_that_is_not_there_is_named() -> None:
    with pytest.raises(DefinitionError, match="no_such_project"):
        rules_of("no_such_project")


def test_a_schedule_that_never_comes_is_refused() -> None:
    never = Schedule("never", model="late", cron="0 0 30 2 *", cooldown=timedelta(days=1))
    with pytest.raises(
        DeclarationError, match=r"test_declared\.py:\d+: Schedule\('never'\): cron .* never comes"
    ):
        check_schedules([never])


@pytest.mark.parametrize(
    ("cron", "after_day", "found"),
    [
        ("0 6 1 3,9 *", 0, "1970-03-01T06:00:00Z"),
        ("0 6 1 3,9 *", 59.25, "1970-09-01T06:00:00Z"),
        ("*/15 * * * *", 1, "1970-01-02T00:15:00Z"),
        ("0 0 * * 7", 0, "1970-01-04T00:00:00Z"),
        ("0 0 29 2 *", 0, "1972-02-29T00:00:00Z"),
    ],
)
def test_times_of_a_cron_are_utc(cron: str, after_day: float, found: str) -> None:
    following = next_time(cron, round(after_day * DAY_US))
    assert following is not None
    assert iso(following) == found
    assert is_due(cron, following - 1, following)
    assert not is_due(cron, following, following)


def test_times_in_sentences() -> None:
    assert words(DAY_US) == "1970-01-02"
    assert words(DAY_US + 1_000_000) == "1970-01-02 00:00:01 UTC"
    assert iso(DAY_US + 1) == "1970-01-02T00:00:00.000001Z"
