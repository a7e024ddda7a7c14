"""What this service counts; what all consumers count is the bus's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

from retrain_trigger.domain.effects import AlarmChanged, Approved, Asked, Refused

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from retrain_trigger.domain.effects import Effect


class Metrics:
    """The service's own families."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tidemark_retrain_{name}", text, ["model", *labels], registry=registry)

        self._asked = counter("requests", "Retrainings asked for.", "policy")
        self._approved = counter("approvals", "Retrainings approved and told.", "policy")
        self._refused = counter("refusals", "Retrainings refused.", "policy", "refusal")
        self._alerts = counter("alerts", "States of alerts told.", "alert", "state")

    def told(self, model: str, effect: Effect) -> None:
        """Count what was told."""
        match effect:
            case Asked():
                self._asked.labels(model, effect.request.policy).inc()
            case Approved():
                self._approved.labels(model, effect.request.policy).inc()
            case Refused():
                self._refused.labels(model, effect.policy, effect.refusal.value).inc()
            case AlarmChanged():
                state = "FIRING" if effect.alarm.firing else "RESOLVED"
                self._alerts.labels(model, effect.alarm.name, state).inc()
