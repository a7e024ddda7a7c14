"""What explaining counts. Labels are bounded: models that were registered, and fixed words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

_SECONDS: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


class ExplainMetrics:
    """The role's metrics, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._asked = Counter(
            "inference_explanations", "Explanations asked for.", ["model", "kept"], registry=registry
        )
        self._seconds = Histogram(
            "inference_explanation_seconds",
            "What an explanation took, waiting apart.",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._failed = Counter(
            "inference_explanations_failed", "Explanations not given.", ["reason"], registry=registry
        )
        self._events = Counter(
            "inference_decisions_explained",
            "Decisions explained because their model's policy asks for it.",
            ["model"],
            registry=registry,
        )
        self._window = Gauge(
            "inference_explain_window_predictions", "Predictions at hand.", registry=registry
        )

    def asked(self, model: str, *, was_kept: bool) -> None:
        """An explanation was asked for."""
        self._asked.labels(model, "yes" if was_kept else "no").inc()

    def timed(self, model: str) -> AbstractContextManager[object]:
        """Measure what an explanation takes."""
        return self._seconds.labels(model).time()

    def failed(self, reason: str) -> None:
        """An explanation was not given."""
        self._failed.labels(reason).inc()

    def decisions_explained(self, model: str, count: int) -> None:
        """So many decisions were explained by policy."""
        self._events.labels(model).inc(count)

    def watch_window(self, size: Callable[[], int]) -> None:
        """Ask `size` for how many predictions are at hand whenever metrics are read."""
        self._window.set_function(size)
