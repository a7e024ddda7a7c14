"""How soon events are readable: a histogram by view, filled a batch at a time.

By the wall clock, so it means something only where events are published as they happen: in a replay of the
past every event is years old. What requests really saw is judged by `drift_detector`, in event time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from prometheus_client.core import HistogramMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from feature_store import EventBatch
    from feature_store.definitions import View
    from numpy.typing import NDArray
    from prometheus_client import CollectorRegistry

BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600)
_SINCE: Final = ("event", "recorded")
_BOUNDS_US: Final = np.array(BOUNDS_S) * 1_000_000
_SECOND_US: Final = 1_000_000


class FreshnessHistogram:
    """Seconds from an event's time, and from its recorded time, until the rows with it were stored.

    One number a source is counted once and shown for each of its views, whose rows are stored together; so an
    event without one view's key counts there too.

    Args:
        views: All that are kept.
        registry: Where it is shown, as `feature_freshness_seconds`.
    """

    def __init__(self, views: Iterable[View], registry: CollectorRegistry) -> None:
        self._views = sorted((view.name, view.source.topic) for view in views)
        topics = {topic for _, topic in self._views}
        self._counts = {topic: np.zeros((len(_SINCE), len(BOUNDS_S) + 1), np.int64) for topic in topics}
        self._sums_us: dict[str, NDArray[np.int64]] = {topic: np.zeros(2, np.int64) for topic in topics}
        registry.register(self)

    def stored(self, batch: EventBatch, rows: NDArray[np.bool_], now_us: int) -> None:
        """Count events that can be read from now on.

        Args:
            batch: Of one source.
            rows: Which of them had not been stored before, bool[n].
            now_us: When the store had acknowledged them.
        """
        topic = batch.source.topic
        if topic not in self._counts:
            return
        for number, times_us in enumerate((batch.event_time_us, batch.recorded_time_us)):
            # A producer's clock may run ahead: nothing is readable before it was published.
            ages_us = np.maximum(now_us - times_us[rows], 0)
            places = np.searchsorted(_BOUNDS_US, ages_us)
            self._counts[topic][number] += np.bincount(places, minlength=len(BOUNDS_S) + 1)
            self._sums_us[topic][number] += int(ages_us.sum())

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return the family, as Prometheus' client asks for it."""
        family = HistogramMetricFamily(
            "feature_freshness_seconds",
            "Time until an event could be read from its view's row, since it happened or was recorded",
            labels=["view", "since"],
        )
        for view, topic in self._views:
            for number, since in enumerate(_SINCE):
                below = np.cumsum(self._counts[topic][number]).tolist()
                bounds = [*(str(float(bound)) for bound in BOUNDS_S), "+Inf"]
                family.add_metric(
                    [view, since],
                    buckets=list(zip(bounds, below, strict=True)),
                    sum_value=int(self._sums_us[topic][number]) / _SECOND_US,
                )
        yield family
