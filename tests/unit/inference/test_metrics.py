"""Counting many at once counts what counting each does."""

import pytest
from inference.metrics import Metrics
from prometheus_client import CollectorRegistry


@pytest.mark.parametrize("latency_us", [0, 200, 201, 1_000_000, 1_000_001])
def test_requests_that_took_as_long_are_counted_together(latency_us: int) -> None:
    together, apart = CollectorRegistry(), CollectorRegistry()
    Metrics(together).answered("m", "champion", latency_us, 8)
    one_by_one = Metrics(apart)
    for _ in range(8):
        one_by_one.answered("m", "champion", latency_us)
    assert _shown(together) == pytest.approx(_shown(apart))


def _shown(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    return {
        (sample.name, str(sample.labels)): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }
