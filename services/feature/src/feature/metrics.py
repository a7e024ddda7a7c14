"""What `feature` counts. A batch that is handled again after a crash counts again."""

from __future__ import annotations

from collections import Counter as Tally
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_store import Reject
    from feature_store.online import Application

    from feature.domain.outcomes import Outcome


class Metrics:
    """Counters by source, shown on /metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"feature_{name}", text, labels, registry=registry)

        self._events = counter("events", "Events that passed their source's checks", "source")
        self._rejects = counter("rejects", "Events refused, by reason", "source", "reason")
        self._erased = counter(
            "erased_events", "Events of erased subjects, which count for nothing", "source"
        )
        self._repeats = counter("repeats", "Events published twice, counted once", "source")
        self._written = counter("rows_written", "Feature rows replaced", "source")
        self._conflicts = counter("row_conflicts", "Replacements another process was faster with", "source")
        self._hits = counter("cache_hits", "Rows that needed no read", "source")
        self._misses = counter("cache_misses", "Rows read from the store", "source")
        self._unreadable = counter(
            "rows_unreadable", "Stored rows of another format or definition, begun anew", "source"
        )
        self._outcomes = counter("outcomes", "Outcomes published", "label")
        self.rows_lost = Gauge(
            "tidemark_feature_rows_lost",
            "1 while the store has lost rows and events wait for `tidemark features backfill`",
            registry=registry,
        )
        self.apply_seconds = Histogram(
            "feature_apply_seconds",
            "Time from decoded events to durable rows, a batch of one source",
            ["source"],
            registry=registry,
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3),
        )

    def decoded(self, source: str, events: int, rejects: Sequence[Reject]) -> None:
        """Count what a batch held."""
        self._events.labels(source).inc(events)
        for reason, count in Tally(reject.reason for reject in rejects).items():
            self._rejects.labels(source, reason).inc(count)

    def erased(self, source: str, events: int) -> None:
        """Count events that were left out because their subject was erased."""
        self._erased.labels(source).inc(events)

    def applied(self, source: str, application: Application) -> None:
        """Count what applying a batch did."""
        self._repeats.labels(source).inc(int(application.repeats.sum()))
        self._written.labels(source).inc(application.rows_written)
        self._conflicts.labels(source).inc(application.conflicts)
        self._hits.labels(source).inc(application.cache_hits)
        self._misses.labels(source).inc(application.cache_misses)
        self._unreadable.labels(source).inc(application.unreadable)

    def told(self, outcomes: Sequence[Outcome]) -> None:
        """Count outcomes published."""
        for label, count in Tally(outcome.label for outcome in outcomes).items():
            self._outcomes.labels(label).inc(count)


class DoorMetrics:
    """What the gRPC door counts, shown on /metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "feature_call_seconds",
            "Time to answer a call, by method",
            ["method"],
            registry=registry,
            buckets=(0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1),
        )
        self.refused = Counter(
            "feature_calls_refused",
            "Calls refused, by method and code",
            ["method", "code"],
            registry=registry,
        )
        self.unreadable = Counter(
            "feature_reads_failed", "Reads of rows that the store did not answer in time", registry=registry
        )
