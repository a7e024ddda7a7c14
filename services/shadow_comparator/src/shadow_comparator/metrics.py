"""What this service counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry

    from shadow_comparator.domain.facts import Resolved
    from shadow_comparator.domain.joining import Entry, Record
    from shadow_comparator.domain.revisions import Compared


class Metrics:
    """The service's own families; the consumer's are the bus's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._resolved = Counter(
            "tidemark_comparator_resolved",
            "Answers that met an outcome, repeats included.",
            ["model", "role"],
            registry=registry,
        )
        self._unmatched = Counter(
            "tidemark_comparator_unmatched_outcomes",
            "Outcomes that found no answer: nobody asked, the answer is late, or it has expired.",
            ["label"],
            registry=registry,
        )
        self._repeated = Counter(
            "tidemark_comparator_repeated_answers",
            "Answers with another score than the one kept for their request and version.",
            ["model"],
            registry=registry,
        )
        pair = ["model", "champion", "challenger"]
        self._compared = Counter(
            "tidemark_comparator_compared",
            "Revisions of comparisons published.",
            [*pair, "verdict"],
            registry=registry,
        )
        self._coverage = Gauge(
            "tidemark_comparator_label_coverage",
            "Share of labelled requests in the window last compared.",
            pair,
            registry=registry,
        )
        self._watermark = Gauge(
            "tidemark_comparator_watermark_seconds",
            "Event time up to which windows are closed; set by the owner of the windows.",
            registry=registry,
        )
        self.owner = Gauge(
            "tidemark_comparator_owner", "1 in the process that owns the windows.", registry=registry
        )

    def joined(self, joined: Sequence[tuple[Entry, Record]], resolved: Sequence[Resolved]) -> None:
        """Count what a batch came to."""
        for one in resolved:
            self._resolved.labels(one.prediction.model, one.prediction.role.name).inc()
        for entry, record in joined:
            if entry.outcomes and not record.predictions:
                self._unmatched.labels(entry.label).inc(len(entry.outcomes))
            kept = {prediction.identity: prediction.score for prediction in record.predictions}
            for prediction in entry.predictions:
                if kept[prediction.identity] != prediction.score:
                    self._repeated.labels(prediction.model).inc()

    def compared(self, compared: Compared) -> None:
        """Count a revision."""
        pair = compared.pair
        versions = pair.model, pair.champion, pair.challenger
        self._compared.labels(*versions, compared.judgement.verdict.name).inc()
        self._coverage.labels(*versions).set(compared.comparison.coverage)

    def closed_up_to(self, watermark_us: int) -> None:
        """Show the watermark."""
        self._watermark.set(watermark_us / 1_000_000)
