"""What the bus counts. Families live once in a registry, however many runners and publishers share it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bus.positions import TopicPartition
    from bus.watermarks import Watermark

_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PARTITION: Final = ("group", "topic", "partition")


class _Families:
    """The bus's metric families in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tidemark_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"tidemark_{name}", text, labels, registry=registry)

        self.records = counter(
            "consumer_records", "Records that had their effect or their dead letter.", "group", "topic"
        )
        self.batches = counter("consumer_batches", "Batches finished.", "group")
        self.rejections = counter(
            "consumer_rejections", "Records sent to dead letters.", "group", "topic", "reason"
        )
        self.passed_over = counter(
            "consumer_passed_over_records",
            "Malformed records that another group dead-letters.",
            "group",
            "topic",
            "reason",
        )
        self.failures = counter("consumer_handler_failures", "Calls of the handler that raised.", "group")
        self.waits = counter("consumer_waits", "Waits for a dependency that was away.", "group")
        self.abandoned = counter(
            "consumer_abandoned_records", "Records given up uncommitted, to be read again.", "group"
        )
        self.lag = gauge("consumer_lag_records", "Records of the log not yet processed.", *_PARTITION)
        self.recorded = gauge(
            "consumer_recorded_watermark_seconds", "Newest recorded time processed.", *_PARTITION
        )
        self.event = gauge("consumer_event_watermark_seconds", "Newest event time processed.", *_PARTITION)
        self.handler = Histogram(
            "tidemark_consumer_handler_seconds",
            "One call of the handler.",
            ("group",),
            registry=registry,
            buckets=_SECONDS,
        )
        self.published = counter("publisher_events", "Events the broker acknowledged.", "client", "topic")
        self.depth = gauge("publisher_buffer_events", "Events waiting in the buffer.", "client")
        self.offered = counter("publisher_buffer_offered", "Events the buffer took.", "client")
        self.dropped = counter("publisher_buffer_dropped", "Events dropped, and why.", "client", "reason")


_families: WeakKeyDictionary[CollectorRegistry, _Families] = WeakKeyDictionary()


def families(registry: CollectorRegistry = REGISTRY) -> _Families:
    """Give the families of a registry; the same ones every time."""
    found = _families.get(registry)
    if found is None:
        found = _families[registry] = _Families(registry)
    return found


class PublisherMetrics:
    """What one publisher reports."""

    def __init__(self, client_id: str, registry: CollectorRegistry = REGISTRY) -> None:
        self._client_id = client_id
        self._own = families(registry)
        self._offered = self._own.offered.labels(client_id)

    def published(self, topic: str, count: int) -> None:
        """Count acknowledged events."""
        self._own.published.labels(self._client_id, topic).inc(count)

    def buffered(self, depth: Callable[[], float]) -> None:
        """Show a buffer's depth, asked whenever metrics are read."""
        self._own.depth.labels(self._client_id).set_function(depth)

    def offered(self) -> None:
        """Count an event that the buffer took."""
        self._offered.inc()

    def dropped(self, reason: str, count: int = 1) -> None:
        """Count events that the buffer lost."""
        self._own.dropped.labels(self._client_id, reason).inc(count)


class ConsumerMetrics:
    """What one runner reports."""

    def __init__(self, group: str, registry: CollectorRegistry = REGISTRY) -> None:
        own = families(registry)
        self._group = group
        self._own = own
        self._gauges: dict[TopicPartition, tuple[Gauge, Gauge, Gauge]] = {}
        self.handler_seconds = own.handler.labels(group)
        self.handler_failures = own.failures.labels(group)
        self.waits = own.waits.labels(group)
        self.abandoned = own.abandoned.labels(group)
        self._batches = own.batches.labels(group)

    def rejected(self, topic: str, reason: str) -> None:
        """Count a dead letter."""
        self._own.rejections.labels(self._group, topic, reason).inc()

    def passed_over(self, topic: str, reason: str) -> None:
        """Count a malformed record that is another group's to dead-letter."""
        self._own.passed_over.labels(self._group, topic, reason).inc()

    def finished(self, records_by_topic: Mapping[str, int]) -> None:
        """Count a batch."""
        self._batches.inc()
        for topic, count in records_by_topic.items():
            self._own.records.labels(self._group, topic).inc(count)

    def at(self, where: TopicPartition, mark: Watermark, lag: int | None) -> None:
        """Show where a partition is."""
        gauges = self._gauges.get(where)
        if gauges is None:
            labels = (self._group, where.topic, str(where.partition))
            own = self._own
            gauges = (own.lag.labels(*labels), own.recorded.labels(*labels), own.event.labels(*labels))
            self._gauges[where] = gauges
        if lag is not None:
            gauges[0].set(lag)
        gauges[1].set(mark.recorded_us / 1e6)
        gauges[2].set(mark.event_us / 1e6)

    def gone(self, where: TopicPartition) -> None:
        """Stop showing a partition that another member has now."""
        if self._gauges.pop(where, None) is not None:
            for family in (self._own.lag, self._own.recorded, self._own.event):
                family.remove(self._group, where.topic, str(where.partition))
