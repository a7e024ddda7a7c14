"""What an event said can be taken back, and said again otherwise: from when the correction was recorded."""

from __future__ import annotations

import json

import numpy as np
import pytest
from feature_store import (
    AsOf,
    Contract,
    Count,
    Entity,
    EventBatch,
    FeatureView,
    Incoming,
    Json,
    Label,
    Mean,
    ModelSpec,
    Quantile,
    Requests,
    Source,
    Std,
    Sum,
    TrainingExamples,
    decode_events,
    field,
    point_in_time,
)
from feature_store.offline import Applied
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows, VectorAssembler

HOUR_US = 3_600_000_000
SALES = Source(
    "sales",
    format=Json({"shop": "text", "price": "number", "void": "flag", "at": "time"}),
    event_time="at",
    retracts=field("void"),
)
SHOP = Entity("shop")


class ShopSales(FeatureView):
    source, entity = SALES, SHOP
    sales = Count(window="all")
    revenue = Sum("price", window="24h")
    mean_price = Mean("price", window="24h", default=-1.0)
    spread = Std("price", window="24h", default=-1.0)
    median = Quantile("price", q=0.5, low=1.0, high=100.0, accuracy=0.01, window="24h", default=-1.0)


CONTRACT = Contract.of(
    ModelSpec(
        "m",
        features=[
            ShopSales.sales,
            ShopSales.revenue,
            ShopSales.mean_price,
            ShopSales.spread,
            ShopSales.median,
        ],
        label=Label("l", source=SALES, request_key="shop", value=field("price")),
        examples=TrainingExamples(source=SALES, time=field("at"), entities={"shop": "shop"}),
        train=lambda *_: None,
    )
)

# Price, whether it is void, recorded at which hour; all were sold in the first hour. 30 was a mistake for 20.
SAID = [(10.0, False, 1), (30.0, False, 2), (30.0, True, 4), (20.0, False, 4)]


def batch() -> EventBatch:
    sold = {"shop": "s", "at": "1970-01-01T00:30:00Z"}
    payloads = [json.dumps({**sold, "price": price, "void": void}).encode() for price, void, _ in SAID]
    n = len(SAID)
    recorded = [hour * HOUR_US for _, _, hour in SAID]
    ids = [str(number) for number in range(n)]
    found, rejects = decode_events(
        SALES, Incoming(payloads, ids, [b""] * n, [0] * n, recorded, [0] * n, list(range(n)))
    )
    assert rejects == []
    return found


def asked(*hours: int) -> Requests:
    return Requests(np.array(hours) * HOUR_US, {"shop": np.full(len(hours), "s", np.object_)}, {})


def test_training_believes_a_mistake_until_its_correction_was_recorded() -> None:
    values = point_in_time(CONTRACT, {"sales": batch()}, asked(1, 3, 4), AsOf()).values
    assert values[:, :4].tolist() == [[1, 10, 10, 0], [2, 40, 20, 10], [2, 30, 15, 5]]
    # The lower of two, as the first bucket up to which more than half of n - 1 are counted.
    assert values[:, 4] == pytest.approx([10, 10, 10], rel=0.01)


async def test_serving_takes_back_in_any_order_and_equals_what_is_recomputed() -> None:
    events = batch()
    for order in ([0, 1, 2, 3], [2, 3, 0, 1]):
        rows, assembler = MemoryFeatureRows(), VectorAssembler(CONTRACT)
        # Each event in a partition of its own, so that they may come in any order.
        for index in order:
            one = events.take(np.array([index]))
            one.partition[:], one.offset[:] = index, 0
            await Applier([ShopSales.view], rows, MemoryClaims()).apply(one)
        request = asked(5)
        vectors = assembler.assemble(request, await rows.read(assembler.row_keys(request)))
        assert vectors.values[0, :4].tolist() == [2, 30, 15, 5]
        moved = batch()
        moved.partition[:], moved.offset[:] = np.arange(4), 0
        applied = Applied({"shop_sales": vectors.positions[0].applied})
        again = point_in_time(CONTRACT, {"sales": moved}, request, applied)
        assert again.values.tobytes() == vectors.values.tobytes()
