"""Predictions written many together read as each written by itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from feature_store.vectors import Positions, RowPositions, Vectors
from inference.adapters.wire_predictions import PredictionWriter, prediction_made
from inference.domain.requests import Asked
from inference.domain.routes import Arm, Role, VersionRef
from inference.scored import Scored
from tidemark.scoring.v1.prediction_pb2 import PredictionMade

ARMS = [
    Arm("champion", Role.CHAMPION, VersionRef("1", "a" * 64, "file:///one"), 9_000),
    Arm("rare", Role.CHALLENGER, VersionRef("2", "b" * 64, "file:///two"), 1_000, segment="north"),
]
CONTRACT: Any = SimpleNamespace(hash=b"h" * 32)


def vectors(random: np.random.Generator, size: int) -> Vectors:
    positions = Positions(
        [
            RowPositions(
                view=view,
                found=random.random(size) < share,
                # A few rows, which many requests share, in more partitions than are declared.
                applied=random.integers(-1, 2, (size, 3)),
                recorded_watermark_us=random.integers(10**15, 10**15 + 2, size),
                declared=declared,
            )
            for view, share, declared in (("users", 1.0, 3), ("items", 0.5, 1), ("users", 0.9, 1))
        ]
    )
    return Vectors(
        random.standard_normal((size, 5)).astype(np.float32),
        random.integers(1, 5, (size, 5)).astype(np.uint8),
        positions,
    )


def batch(random: np.random.Generator, size: int) -> list[Scored]:
    together = vectors(random, size)
    return [
        Scored(
            asked=Asked(
                model="returns",
                entities={"user": f"u{row}", "item": "", "né": "日本"},
                context={"asked_at": 5, "gift": row % 2 == 0, "basket": row / 7, "channel": "web"},
                request_time_us=1_365_000_000_000_001 + row,
                prediction_id=f"p{random.integers(10**9)}",
                request_key=f"k{row}",
                recorded_time_us=0,
            ),
            arm=ARMS[int(random.integers(2))],
            route_revision=7,
            contract=CONTRACT,
            label="will_return",
            score=float(random.random()),
            vectors=together,
            row=row,
            latency_us=int(random.integers(1, 3)),
            outputs={"values": np.arange(row % 4, dtype=np.float32), "text": np.array(["a"], object)},
            log_basis_points=2_500,
        )
        for row in range(size)
    ]


def test_together_they_read_as_each_by_itself() -> None:
    random = np.random.default_rng(5)
    writer = PredictionWriter()
    for sizes in ((40,), (3, 25), (1,), (), (200, 11, 12, 13)):
        scored = [one for size in sizes for one in batch(random, size)]
        random.shuffle(scored)  # type: ignore[arg-type] # a list is shuffled in place too
        written = list(map(PredictionMade.FromString, writer.predictions_made(scored)))
        assert written == list(map(prediction_made, scored))


def test_no_field_is_left_out() -> None:
    # A new field that only one of the two ways writes would be missed above if no example had it.
    many = map(prediction_made, batch(np.random.default_rng(5), 40))
    written = {field.name for made in many for field, _ in made.ListFields()}
    assert written == {field.name for field in PredictionMade.DESCRIPTOR.fields}


def test_it_keeps_no_more_than_so_many_positions() -> None:
    random = np.random.default_rng(5)
    writer = PredictionWriter()
    for _ in range(60):
        many = batch(random, 500)
        for position in many[0].vectors.positions:
            position.recorded_watermark_us[:] = random.integers(0, 10**15, 500)
        assert PredictionMade.FromString(writer.predictions_made(many)[7]) == prediction_made(many[7])
    assert len(writer._positions) < 25_000
