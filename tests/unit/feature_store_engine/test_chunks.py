"""The past is read in chunks that bound its memory: where they are cut changes nothing."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from feature_store import (
    Applied,
    AsOf,
    Contract,
    Count,
    DistinctCount,
    Entity,
    EventBatch,
    Ewma,
    FeatureView,
    Json,
    Label,
    Max,
    Min,
    ModelSpec,
    Quantile,
    Requests,
    Source,
    Std,
    TrainingExamples,
    field,
    point_in_time,
)
from feature_store.offline import known as knowledge
from feature_store.offline import ranges
from feature_store.sketches import Registers

HOUR_US = 3_600_000_000
EVENTS, REQUESTS = 1_500, 400
HITS = Source(
    "hits", format=Json({"site": "text", "ms": "number", "at": "time"}), event_time="at", partitions=3
)


class SiteHits(FeatureView):
    source, entity, ttl = HITS, Entity("site"), timedelta(days=9)
    hits = Count(window="6h", tiles=3)
    spread = Std("ms", window="6h", tiles=3)
    least = Min("ms", window="6h", tiles=3)
    greatest_2h = Max("ms", window="2h")
    sizes = DistinctCount("ms", window="6h", tiles=3)
    sizes_all = DistinctCount("ms", window="all")
    decayed = Ewma("ms", half_life="2h", window="6h", tiles=3)
    median = Quantile("ms", q=0.5, low=1.0, high=100.0, window="6h", tiles=3)


CONTRACT = Contract.of(
    ModelSpec(
        "m",
        features=[getattr(SiteHits, name) for name in SiteHits.view.aggregations],
        label=Label("l", source=HITS, request_key="site", value=field("ms")),
        examples=TrainingExamples(source=HITS, time=field("at"), entities={"site": "site"}),
        train=lambda *_: None,
    )
)


def hits(random: np.random.Generator) -> EventBatch:
    at_us = random.integers(0, 48 * HOUR_US, EVENTS)
    ids = np.array([str(number) for number in range(EVENTS)], np.object_)
    return EventBatch(
        HITS,
        {
            "site": random.choice(np.array(["a", "b", "c"], np.object_), EVENTS, p=[0.8, 0.1, 0.1]),
            "ms": np.round(random.lognormal(3, 1, EVENTS)),
            "at": at_us,
        },
        at_us,
        at_us + random.integers(0, 4 * HOUR_US, EVENTS),
        (np.arange(EVENTS) % 3).astype(np.int32),
        np.arange(EVENTS) // 3,
        ids,
        ids,
    )


@pytest.mark.parametrize("pairs", [1, 7, 1_000])
@pytest.mark.parametrize("way", ["as of", "applied"])
def test_any_chunks_give_the_same_bits(monkeypatch: pytest.MonkeyPatch, pairs: int, way: str) -> None:
    random = np.random.default_rng(11)
    events = {"hits": hits(random)}
    sites = random.choice(np.array(["a", "b", "c", "d"], np.object_), REQUESTS)
    requests = Requests(random.integers(0, 50 * HOUR_US, REQUESTS), {"site": sites}, {})
    positions = random.integers(-1, EVENTS // 3, (REQUESTS, 3))
    known = AsOf() if way == "as of" else Applied({"site_hits": positions})
    whole = point_in_time(CONTRACT, events, requests, known)
    assert (whole.statuses == 1).mean() > 0.2

    monkeypatch.setattr(knowledge, "PAIRS_A_CHUNK", pairs)
    monkeypatch.setattr(ranges, "_STRETCHES_A_CHUNK", pairs)
    again = point_in_time(CONTRACT, events, requests, known)
    assert again.values.tobytes() == whole.values.tobytes()
    assert again.statuses.tobytes() == whole.statuses.tobytes()


def test_many_estimates_at_once_are_those_of_each() -> None:
    registers = Registers(6)
    words = np.random.default_rng(2).integers(0, 2**58, (5_000, registers.words)) & 0x1F1F1F1F1F1F1F1F
    together = registers.estimates(words)
    assert together[[0, 4_095, 4_096, -1]].tolist() == [
        float(registers.estimates(words[[at]])[0]) for at in (0, 4_095, 4_096, -1)
    ]
