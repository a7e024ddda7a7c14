"""What this service counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prometheus_client import CollectorRegistry

    from drift_detector.audit_ports import Positions
    from drift_detector.domain.alerting import Notice
    from drift_detector.domain.audits import Tally
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


class AuditMetrics:
    """What recomputing served vectors came to; a window that is judged again after a crash counts again."""

    def __init__(self, registry: CollectorRegistry) -> None:
        version = ["model", "version"]
        self._compared = Counter(
            "tidemark_consistency_compared",
            "Served vectors recomputed from the lake.",
            version,
            registry=registry,
        )
        self._unjudged = Counter(
            "tidemark_consistency_unjudged",
            "Sampled vectors of another contract, or of positions no topic has.",
            version,
            registry=registry,
        )
        self._differences = Counter(
            "tidemark_consistency_differences",
            "Features of recomputed vectors that differ: mismatch, missing or extra.",
            [*version, "feature", "kind"],
            registry=registry,
        )
        self._gap = Histogram(
            "tidemark_consistency_gap_seconds",
            "By how much the rows that sampled requests read lagged behind what was recorded, in event time.",
            ["view"],
            registry=registry,
            buckets=(0, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 3600),
        )
        self._judged_until = Gauge(
            "tidemark_consistency_judged_until_seconds",
            "Event time up to which windows were judged.",
            ["model"],
            registry=registry,
        )
        self._behind = Gauge(
            "tidemark_consistency_lake_behind_records",
            "Records of predictions and sources that the lake does not hold yet.",
            registry=registry,
        )

    def behind(self, positions: Positions, ends: Positions) -> None:
        """Show how far the lake is behind."""
        self._behind.set(sum(max(0, end - positions.get(where, 0)) for where, end in ends.items()))

    def judged_until(self, model: str, time_us: int) -> None:
        """Show how far windows were judged."""
        self._judged_until.labels(model).set(time_us / 1_000_000)

    def audited(self, model: str, tallies: Mapping[str, Tally]) -> None:
        """Count a window."""
        for version, tally in tallies.items():
            self._compared.labels(model, version).inc(tally.compared)
            self._unjudged.labels(model, version).inc(tally.unjudged)
            for kind, counts in tally.kinds.items():
                for feature, count in zip(tally.features, counts.tolist(), strict=True):
                    if count:
                        self._differences.labels(model, version, feature, kind).inc(count)
            for view, gaps_us in tally.gaps_us.items():
                observe = self._gap.labels(view).observe
                for gap_us in gaps_us.tolist():
                    observe(gap_us / 1_000_000)
