"""A job may be killed at any moment, and its input may be larger than its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from batch_scoring.scoring import COMMIT_BYTES
from deltalake import DeltaTable

if TYPE_CHECKING:
    import pyarrow as pa

    from tests.integration.batch_scoring.jobs import Scoring

KIB_OF_MIB = 1 << 10
NEVER = 1 << 60


def scores(scoring: Scoring, name: str) -> pa.Table:
    return DeltaTable(scoring.folder / name).to_pyarrow_table().sort_by("prediction_id")


def test_killed_again_and_again_it_ends_as_if_nothing_had_been(scoring: Scoring) -> None:
    rows, batch_rows = 15_000, 100
    scoring.write_rows("rows", rows)
    found = [
        scoring.killed_at(int(at), "rows", "scores", batch_rows, 0)
        for at in sorted(np.random.default_rng(3).integers(1, rows - 1_000, 4))
    ]
    assert found == sorted(found)
    assert len(set(found)) > 2
    assert found[-1] > 0
    assert scoring.killed_at(NEVER, "rows", "scores", batch_rows, 0) < 0
    assert scoring.killed_at(NEVER, "rows", "undisturbed", batch_rows, COMMIT_BYTES) < 0
    assert scores(scoring, "scores").to_pylist() == scores(scoring, "undisturbed").to_pylist()


def test_memory_does_not_grow_with_the_input(scoring: Scoring) -> None:
    peaks = []
    for name, rows in (("small", 600_000), ("large", 3_000_000)):
        scoring.write_rows(name, rows)
        peaks.append(-scoring.killed_at(NEVER, name, name, 32_768, COMMIT_BYTES))
        assert DeltaTable(scoring.folder / name).to_pyarrow_dataset().count_rows() == rows
    # 150 MB more of vectors and 600 MB more of scores went through.
    assert peaks[1] - peaks[0] < 100 * KIB_OF_MIB, peaks
