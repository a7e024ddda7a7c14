"""What the archiver counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from archiver.keeping import Kept


class Metrics:
    """Counters by table, shown on /metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rows = Counter("archiver_rows", "Rows appended, each record once", ["table"], registry=registry)
        self.left_out = Counter(
            "archiver_left_out",
            "Source events not kept because they fail the source's checks; `feature` dead-letters them. "
            "Read again after a restart, they count again",
            ["table", "reason"],
            registry=registry,
        )
        self.stopped = Gauge(
            "archiver_table_stopped",
            "1 where a table is not written to, because a column of it has another type than its topic now",
            ["table"],
            registry=registry,
        )
        self.append_seconds = Histogram(
            "archiver_append_seconds",
            "Time of an append, upkeep included",
            ["table"],
            registry=registry,
            buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
        )

    def count(self, table: str, appended: int, kept: Kept) -> None:
        """Count one batch of one table."""
        self.rows.labels(table).inc(appended)
        for reason, count in kept.left_out.items():
            self.left_out.labels(table, reason).inc(count)
