"""What this service counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry

    from drift_detector.domain.alerting import Notice
    from drift_detector.domain.figures import Measured
    from drift_detector.domain.shares import Counted


class Metrics:
    """The service's own families; the consumers' are the bus's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        version, monitor = ["model", "version"], ["model", "monitor"]
        self._counted = Counter(
            "tidemark_detector_counted", "Answers and outcomes counted.", version, registry=registry
        )
        self._repeated = Counter(
            "tidemark_detector_repeats",
            "Answers and outcomes that had counted before.",
            version,
            registry=registry,
        )
        self._late = Counter(
            "tidemark_detector_too_late",
            "Answers and outcomes of windows that are forgotten.",
            ["model"],
            registry=registry,
        )
        self._measured = Counter(
            "tidemark_detector_measured", "Measurements told.", [*monitor, "assessment"], registry=registry
        )
        self._alerts = Counter(
            "tidemark_detector_alerts", "States of alerts told.", [*monitor, "state"], registry=registry
        )
        self._watermark = Gauge(
            "tidemark_detector_watermark_seconds",
            "Event time up to which requests were counted; set by the owner of the windows.",
            registry=registry,
        )
        self.owner = Gauge(
            "tidemark_detector_owner", "1 in the process that measures windows.", registry=registry
        )

    def counted(self, counted: Counted) -> None:
        """Count what a batch came to."""
        for (model, version), rows in counted.rows.items():
            self._counted.labels(model, version).inc(rows)
        for (model, version), rows in counted.repeats.items():
            self._repeated.labels(model, version).inc(rows)

    def late(self, model: str) -> None:
        """Count a fact about a forgotten window."""
        self._late.labels(model).inc()

    def measured(self, measured: Measured) -> None:
        """Count a measurement."""
        monitor = measured.monitor
        self._measured.labels(monitor.model, monitor.name, measured.findings.assessment.value).inc()

    def alerted(self, notices: Sequence[Notice]) -> None:
        """Count states of alerts."""
        for notice in notices:
            self._alerts.labels(notice.told.model, notice.told.monitor, notice.alert.state.value).inc()

    def measured_up_to(self, watermark_us: int) -> None:
        """Show the watermark."""
        self._watermark.set(watermark_us / 1_000_000)
