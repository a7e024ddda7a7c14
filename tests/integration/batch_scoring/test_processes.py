"""The command as a process: it may be killed, and its input may be larger than its memory."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from deltalake import DeltaTable

if TYPE_CHECKING:
    from tests.integration.batch_scoring.conftest import Scoring

MIB = 1 << 10  # of the kibibytes that getrusage counts


def test_killed_again_and_again_it_ends_as_if_nothing_had_been(scoring: Scoring) -> None:
    rows = scoring.write("rows", 15_000)
    small = ("--batch-rows", "100", "--commit-mib", "0")
    killed = 0
    for tenths in range(15, 200, 3):
        try:
            scoring.start(rows, "scores", *small, timeout=tenths / 10)
        except subprocess.TimeoutExpired:
            killed += 1
            # From then on it was surely killed between commits of its own.
            if DeltaTable.is_deltatable(str(scoring.folder / "scores")) and killed > 4:
                break
        else:
            break
    report = scoring.report(rows, "scores", *small)
    assert killed
    assert report["rows_done_before"] > 0
    assert report["rows_done_before"] + report["rows_scored"] == report["rows"] == 15_000
    scoring.report(rows, "undisturbed", "--batch-rows", "100")
    found, wanted = (
        DeltaTable(scoring.folder / name).to_pyarrow_table().sort_by("prediction_id")
        for name in ("scores", "undisturbed")
    )
    assert found.to_pylist() == wanted.to_pylist()


@pytest.mark.timeout(120)
def test_memory_does_not_grow_with_the_input(scoring: Scoring) -> None:
    small = scoring.report(scoring.write("small", 300_000), "small")
    large = scoring.report(scoring.write("large", 2_400_000), "large")
    # 128 MiB more of vectors and 500 MiB more of scores went through.
    assert large["peak_kib"] - small["peak_kib"] < 100 * MIB, (small["peak_kib"], large["peak_kib"])
    assert DeltaTable(scoring.folder / "large").to_pyarrow_dataset().count_rows() == 2_400_000
