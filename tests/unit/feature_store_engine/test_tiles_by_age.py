"""An Ewma reads every tile by its age, the oldest included, wherever in the ring the request falls."""

from __future__ import annotations

import numpy as np
import pytest
from feature_store import (
    Contract,
    Entity,
    Ewma,
    FeatureView,
    Json,
    Label,
    ModelSpec,
    Requests,
    Source,
    TrainingExamples,
    VectorAssembler,
    field,
)
from feature_store.plans import plan_of
from feature_store.rows import NEWEST

MINUTE_US = 60_000_000
TILES = 4
READ = Source("read.v1", format=Json({"meter": "text", "kw": "number", "at": "time"}), event_time="at")


class MeterReads(FeatureView):
    source, entity = READ, Entity("meter")
    load_4m = Ewma("kw", half_life="1m", window="4m", tiles=TILES)


CONTRACT = Contract.of(
    ModelSpec(
        "m",
        features=[MeterReads.load_4m],
        label=Label("l", source=READ, request_key="meter", value=field("kw")),
        examples=TrainingExamples(source=READ, time=field("at"), entities={"meter": "meter"}),
        train=lambda *_: None,
    )
)


@pytest.mark.parametrize("minute", range(100, 104))
@pytest.mark.parametrize("ahead", range(TILES))
def test_each_tile_has_the_weight_of_its_age(minute: int, ahead: int) -> None:
    layout = plan_of(MeterReads.view).layout
    row = layout.empty.copy()
    row[NEWEST] = minute * MINUTE_US
    # In each of the last four minutes one event, of as many kW as the minute's number.
    for tile in range(minute - TILES + 1, minute + 1):
        row[layout.tiles + tile % TILES] = tile << 20
        row[layout.tiles + TILES + tile % TILES] = 1
    asked = Requests(np.array([(minute + ahead) * MINUTE_US]), {"meter": np.array(["m"], np.object_)}, {})

    vectors = VectorAssembler(CONTRACT).assemble(asked, [row.tobytes()])

    there = range(minute + ahead - TILES + 1, minute + 1)
    weights = {tile: 0.5 ** (minute + ahead - tile) for tile in there}
    expected = sum(tile * weight for tile, weight in weights.items()) / sum(weights.values())
    assert vectors.values[0, 0] == pytest.approx(expected, rel=1e-6)
