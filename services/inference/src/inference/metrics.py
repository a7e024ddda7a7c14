"""What this service counts. Labels are bounded: models and variants that routes name, and fixed words."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.domain.scaling import Pace

_LATENCY_S: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_BATCH: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
STATUS_NAMES: Final = ("UNSPECIFIED", "PRESENT", "MISSING", "STALE", "DEFAULTED")


class Watched(Protocol):
    """What can be asked at any time."""

    @property
    def waiting(self) -> int:
        """How many requests wait for their batch."""

    @property
    def limit(self) -> int:
        """How many may be in hand."""

    @property
    def apart(self) -> int:
        """How many versions run by themselves."""


class Metrics:
    """The service's metrics, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "inference_requests", "Requests answered.", ["model", "variant", "status"], registry=registry
        )
        self._latency = Histogram(
            "inference_latency_seconds", "Receipt to score.", ["model"], buckets=_LATENCY_S, registry=registry
        )
        self._batch = Histogram(
            "inference_batch_size", "Requests scored together.", buckets=_BATCH, registry=registry
        )
        self._waiting = Gauge("inference_waiting_requests", "Requests in the queue.", registry=registry)
        self._admitted = Gauge(
            "inference_admission_limit", "Requests that may be in hand at once.", registry=registry
        )
        self._apart = Gauge("inference_versions_apart", "Slow versions run by themselves.", registry=registry)
        self._features = Counter(
            "inference_features",
            "Features served, by what became of them.",
            ["model", "status"],
            registry=registry,
        )
        self._dropped = Counter(
            "inference_dropped_events", "Predictions not recorded.", ["model", "reason"], registry=registry
        )
        self._left_out = Counter(
            "inference_unlogged_predictions", "Left out by the log's share.", ["model"], registry=registry
        )
        self._revision = Gauge("inference_route_revision", "Route followed.", ["model"], registry=registry)
        self._refused = Counter(
            "inference_routes_refused",
            "Routes that could not be followed.",
            ["model", "reason"],
            registry=registry,
        )
        self._load = Histogram(
            "inference_model_load_seconds", "Open, verify and warm.", ["model"], registry=registry
        )
        self._unloaded = Counter(
            "inference_models_unloaded",
            "Models that made room for others.",
            ["model"],
            registry=registry,
        )
        self._warm = Gauge("inference_models_warm", "Models whose versions are loaded.", registry=registry)
        self._warm_bytes = Gauge("inference_models_bytes", "What they take, as estimated.", registry=registry)
        self._redis = Counter(
            "inference_redis_errors", "Reads of feature rows that failed.", ["error"], registry=registry
        )
        self._shadows = Counter(
            "inference_shadow_scores",
            "Logged vectors scored by shadows.",
            ["model", "version"],
            registry=registry,
        )
        self._pace = {
            name: Gauge(f"inference_stream_{name}", text, registry=registry)
            for name, text in {
                "handled_per_second": "Requests that came as events, answered.",
                "arrived_per_second": "Requests that came as events, new.",
                "lag_events": "Requests that came as events and wait.",
                "capacity_per_second": "What this process can answer, as the last backlog showed.",
                "wanted_replicas": "How many such processes the partitions of this one need: sum them.",
            }.items()
        }
        self._children: dict[tuple[str, str], tuple[Counter, Histogram]] = {}

    def watch_lanes(self, lanes: Watched) -> None:
        """Ask who waits, what is let in, and what runs apart whenever metrics are read."""
        self._waiting.set_function(lambda: lanes.waiting)
        self._admitted.set_function(lambda: lanes.limit)
        self._apart.set_function(lambda: lanes.apart)

    def answered(self, model: str, variant: str, latency_us: int, count: int = 1) -> None:
        """So many requests were scored, each after so long."""
        # Looking a child up by its labels costs more than counting: both are kept.
        children = self._children.get((model, variant))
        if children is None:
            children = self._requests.labels(model, variant, "OK"), self._latency.labels(model)
            self._children[model, variant] = children
        requests, latency = children
        requests.inc(count)
        if count == 1:
            latency.observe(latency_us / 1e6)
        else:
            _observe_alike(latency, latency_us / 1e6, count)

    def streamed(self, model: str, variant: str, count: int) -> None:
        """So many requests that came as events were scored."""
        self._requests.labels(model, variant, "OK").inc(count)

    def paced(self, pace: Pace, capacity_per_second: float, wanted_replicas: float) -> None:
        """The stream was looked at."""
        self._pace["handled_per_second"].set(pace.handled_per_second)
        self._pace["arrived_per_second"].set(pace.arrived_per_second)
        self._pace["lag_events"].set(pace.lag_events)
        self._pace["capacity_per_second"].set(capacity_per_second)
        self._pace["wanted_replicas"].set(wanted_replicas)

    def failed(self, status: str) -> None:
        """A request got no score."""
        self._requests.labels("", "", status).inc()

    def batch_scored(self, size: int) -> None:
        """So many requests were scored together."""
        self._batch.observe(size)

    def features_served(self, model: str, statuses: NDArray[np.uint8]) -> None:
        """Vectors were served whose features became this, uint8[n, F]."""
        for status, count in enumerate(np.bincount(statuses.ravel()).tolist()):
            if count:
                self._features.labels(model, STATUS_NAMES[status]).inc(count)

    def dropped(self, model: str, reason: str) -> None:
        """A prediction was not recorded."""
        self._dropped.labels(model, reason).inc()

    def left_out(self, model: str) -> None:
        """A prediction is not of the share that is recorded."""
        self._left_out.labels(model).inc()

    def route_followed(self, model: str, revision: int) -> None:
        """A route was taken over."""
        self._revision.labels(model).set(revision)

    def route_withdrawn(self, model: str) -> None:
        """A model has no route any more."""
        if (model,) in self._revision._metrics:  # noqa: SLF001 - the client has no public way to ask
            self._revision.remove(model)

    def route_refused(self, model: str, reason: str) -> None:
        """A route could not be taken over."""
        self._refused.labels(model, reason).inc()

    def model_loaded(self, model: str, seconds: float) -> None:
        """A version was opened, verified and warmed."""
        self._load.labels(model).observe(seconds)

    def model_unloaded(self, model: str) -> None:
        """A model made room for others."""
        self._unloaded.labels(model).inc()

    def models_warm(self, count: int, size_bytes: int) -> None:
        """So many models are loaded, and take so much."""
        self._warm.set(count)
        self._warm_bytes.set(size_bytes)

    def redis_failed(self, error: Exception) -> None:
        """Rows could not be read."""
        self._redis.labels(type(error).__name__).inc()

    def shadow_scored(self, model: str, version: str, count: int) -> None:
        """A shadow scored so many logged vectors."""
        self._shadows.labels(model, version).inc(count)


def _observe_alike(histogram: Histogram, value: float, count: int) -> None:
    """Observe one value so many times; the client has no public way to."""
    histogram._sum.inc(value * count)  # noqa: SLF001
    histogram._buckets[bisect_left(histogram._upper_bounds, value)].inc(count)  # noqa: SLF001
