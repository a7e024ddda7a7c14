"""What the alerts' topic says: the newest state of each alert, the episodes of one, as plain values."""

from collections.abc import Iterable
from typing import Any

from tidemark.monitoring.v1.alert_pb2 import AlertChanged, AlertState, AlertType, Evidence, Severity

from tidemark_cli.reading import Fact
from tidemark_cli.words import figure, moment, optional, word

STATES = AlertState.DESCRIPTOR
TYPES = AlertType.DESCRIPTOR
_SEVERITIES = Severity.DESCRIPTOR
_URGENCY = [
    AlertState.ALERT_STATE_FIRING,
    AlertState.ALERT_STATE_PENDING,
    AlertState.ALERT_STATE_RESOLVED,
]


def newest(facts: Iterable[Fact[AlertChanged]]) -> list[AlertChanged]:
    """Returns the newest state of each fingerprint: what fires first, then by severity, then the latest."""
    states: dict[str, AlertChanged] = {}
    for fact in facts:
        if fact.message is None:
            states.pop(fact.key, None)
        elif fact.key not in states or _version(fact.message) >= _version(states[fact.key]):
            states[fact.key] = fact.message
    by_name = sorted(states.values(), key=lambda alert: alert.fingerprint)
    return sorted(by_name, key=_rank)


def episodes(facts: Iterable[Fact[AlertChanged]], fingerprint: str) -> list[AlertChanged]:
    """Returns the last state that the topic still holds of each episode of one alert, the first one first."""
    last: dict[int, AlertChanged] = {}
    for fact in facts:
        alert = fact.message
        if alert is None or alert.fingerprint != fingerprint:
            continue
        if alert.episode not in last or alert.revision >= last[alert.episode].revision:
            last[alert.episode] = alert
    return [last[number] for number in sorted(last)]


def state_of(alert: AlertChanged) -> str:
    """Returns `firing`, `pending` or `resolved`; one that went away before it fired says so."""
    state = word(STATES, alert.state)
    if alert.state == AlertState.ALERT_STATE_RESOLVED and not alert.HasField("firing_since"):
        return f"{state}, never fired"
    return state


def since(alert: AlertChanged) -> str | None:
    """Returns since when an alert has been in its state, in event time."""
    fields = {
        AlertState.ALERT_STATE_PENDING: "pending_since",
        AlertState.ALERT_STATE_FIRING: "firing_since",
        AlertState.ALERT_STATE_RESOLVED: "resolved_at",
    }
    return moment(alert, fields.get(alert.state, "changed_at")) or moment(alert, "changed_at")


def what_moved(alert: AlertChanged) -> str:
    """Returns the alert's sentence; without one, the figure that contributes most."""
    if alert.summary or not alert.evidence:
        return alert.summary
    first = evidence_values(alert.evidence[0])
    return f"{first['subject']} {first['statistic']} {figure(first['before'])} -> {figure(first['now'])}"


def evidence_values(evidence: Evidence) -> dict[str, Any]:
    """Returns a figure that speaks for an alert, as JSON values."""
    return {
        "subject": evidence.subject or "model",
        "slice": evidence.slice or None,
        "statistic": evidence.statistic,
        "before": optional(evidence, "before"),
        "now": evidence.now,
        "threshold": optional(evidence, "threshold"),
        "rows": evidence.rows,
    }


def alert_values(alert: AlertChanged) -> dict[str, Any]:
    """Returns an alert's state whole, as JSON values; every time is event time."""
    times = ("pending_since", "firing_since", "clearing_since", "resolved_at", "changed_at")
    return {
        "fingerprint": alert.fingerprint,
        "type": word(TYPES, alert.type),
        "state": word(STATES, alert.state),
        "severity": word(_SEVERITIES, alert.severity),
        "model": alert.model,
        "monitor": alert.monitor,
        "version": alert.version,
        "owner": alert.owner,
        "runbook": alert.runbook,
        "summary": what_moved(alert),
        "episode": alert.episode,
        "revision": alert.revision,
        **{name: moment(alert, name) for name in times},
        "requests_affected": alert.requests_affected,
        "breached_windows": alert.breached_windows,
        "clear_windows": alert.clear_windows,
        "evidence": [evidence_values(one) for one in alert.evidence],
    }


def _version(alert: AlertChanged) -> tuple[int, int]:
    return alert.episode, alert.revision


def _rank(alert: AlertChanged) -> tuple[int, int, int]:
    urgency = _URGENCY.index(alert.state) if alert.state in _URGENCY else len(_URGENCY)
    return urgency, -alert.severity, -alert.changed_at.ToMicroseconds()
