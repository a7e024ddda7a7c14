"""The newest state of each alert, whatever the order and the repeats in which the topic tells them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tidemark.monitoring.v1.alert_pb2 import AlertChanged, AlertState, AlertType, Evidence, Severity
from tidemark_cli.alert_states import alert_values, episodes, newest, since, state_of, what_moved
from tidemark_cli.reading import Fact

FIRING, PENDING, RESOLVED = (
    AlertState.ALERT_STATE_FIRING,
    AlertState.ALERT_STATE_PENDING,
    AlertState.ALERT_STATE_RESOLVED,
)
DAY_US = 86_400_000_000


def alert(fingerprint: str = "late:drift", **fields: Any) -> AlertChanged:
    days = {name: fields.pop(name) for name in list(fields) if name.endswith(("_since", "_at"))}
    made = AlertChanged(fingerprint=fingerprint, model=fingerprint.partition(":")[0], **fields)
    for name, day in days.items():
        getattr(made, name).FromMicroseconds(day * DAY_US)
    return made


def facts(*alerts: AlertChanged) -> list[Fact[AlertChanged]]:
    return [Fact(one.fingerprint, one) for one in alerts]


LIFE = [
    alert(state=PENDING, episode=1, revision=0, changed_at=1),
    alert(state=FIRING, episode=1, revision=1, changed_at=2),
    alert(state=RESOLVED, episode=1, revision=2, changed_at=3),
    alert(state=PENDING, episode=2, revision=0, changed_at=9),
]


@given(st.lists(st.sampled_from(LIFE), min_size=1))
def test_the_highest_episode_and_revision_is_the_state_whatever_comes_after(told: list[AlertChanged]) -> None:
    expected = max(told, key=lambda one: (one.episode, one.revision))
    assert newest(facts(*told)) == [expected]


def test_what_fires_comes_first_then_by_severity_then_the_latest() -> None:
    quiet = alert("a:1", state=RESOLVED, severity=Severity.SEVERITY_CRITICAL, changed_at=9)
    young = alert("a:2", state=PENDING, severity=Severity.SEVERITY_CRITICAL, changed_at=9)
    old = alert("a:3", state=FIRING, severity=Severity.SEVERITY_WARNING, changed_at=1)
    new = alert("a:4", state=FIRING, severity=Severity.SEVERITY_WARNING, changed_at=2)
    worst = alert("a:5", state=FIRING, severity=Severity.SEVERITY_CRITICAL, changed_at=1)
    assert newest(facts(quiet, young, old, new, worst)) == [worst, new, old, young, quiet]


def test_a_tombstone_takes_an_alert_away() -> None:
    assert newest([*facts(LIFE[1]), Fact("late:drift", None)]) == []
    assert episodes([*facts(LIFE[1]), Fact("late:drift", None)], "late:drift") == [LIFE[1]]


def test_each_episode_is_told_by_its_last_state() -> None:
    others = alert("other", state=FIRING, episode=7)
    assert episodes(facts(*LIFE, others, LIFE[0]), "late:drift") == [LIFE[2], LIFE[3]]


def test_an_alert_says_since_when_it_is_what_it_is() -> None:
    times = {"pending_since": 1, "firing_since": 2, "resolved_at": 3, "changed_at": 4}
    told = [since(alert(state=state, **times)) for state in (PENDING, FIRING, RESOLVED)]
    assert told == [f"1970-01-0{day}T00:00:00Z" for day in (2, 3, 4)]
    assert since(alert(state=99, changed_at=4)) == "1970-01-05T00:00:00Z"
    assert since(alert()) is None


def test_one_that_went_away_before_it_fired_says_so() -> None:
    assert state_of(alert(state=RESOLVED, firing_since=1)) == "resolved"
    assert state_of(alert(state=RESOLVED)) == "resolved, never fired"
    assert state_of(alert(state=99)) == "99"


def test_an_alert_without_a_sentence_shows_the_figure_that_contributes_most() -> None:
    evidence = [Evidence(statistic="psi", now=0.51234, before=0.0), Evidence(statistic="ks", now=1)]
    assert what_moved(alert(evidence=evidence)) == "model psi 0 -> 0.5123"
    assert what_moved(alert(evidence=evidence[1:])) == "model ks - -> 1"
    assert what_moved(alert(summary="It moved.", evidence=evidence)) == "It moved."
    assert what_moved(alert()) == ""


def test_machines_get_words_for_enums_null_for_what_is_unset_and_numbers_for_numbers() -> None:
    told = alert_values(
        alert(
            type=AlertType.ALERT_TYPE_FEATURE_DRIFT,
            state=FIRING,
            severity=Severity.SEVERITY_WARNING,
            episode=2,
            requests_affected=70_000,
            firing_since=1,
            evidence=[Evidence(subject="wind", statistic="psi", now=0.5, threshold=0.25, rows=7)],
        )
    )
    assert (told["type"], told["state"], told["severity"]) == ("feature-drift", "firing", "warning")
    assert (told["firing_since"], told["resolved_at"]) == ("1970-01-02T00:00:00Z", None)
    assert (told["episode"], told["requests_affected"]) == (2, 70_000)
    assert told["evidence"] == [
        {
            "subject": "wind",
            "slice": None,
            "statistic": "psi",
            "before": None,
            "now": 0.5,
            "threshold": 0.25,
            "rows": 7,
        }
    ]
