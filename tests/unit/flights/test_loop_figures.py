"""What the summary says of the consistency monitor, read from the measurements the lake keeps."""

from __future__ import annotations

from typing import Any

import polars as pl

from examples.flights.demo.loop_figures import consistency


def measured(number: int, kind: str, *rates: tuple[str, str, float, int]) -> dict[str, Any]:
    fields = ("subject", "statistic", "value", "rows")
    return {
        "_id": f"m{number}",
        "kind": kind,
        "measurements": [dict(zip(fields, rate, strict=True)) for rate in rates],
    }


def test_windows_are_added_up_once_each_and_other_monitors_left_out() -> None:
    first = measured(1, "CONSISTENCY", ("", "mismatch_rate", 0.01, 200), ("", "missing_rate", 0.0, 200))
    second = measured(
        2,
        "CONSISTENCY",
        ("a.x", "mismatch_rate", 0.02, 150),
        ("a.y", "missing_rate", 0.04, 150),
        ("", "mismatch_rate", 0.001, 150),
    )
    drift = measured(3, "FEATURE_DRIFT", ("a.x", "psi", 0.3, 9_000))
    frame = pl.DataFrame([first, second, second, drift])
    assert consistency(frame) == {"consistency_sampled": 350, "consistency_differences": 3 + 6}


def test_a_lake_without_measurements_has_none() -> None:
    assert consistency(pl.DataFrame()) == {"consistency_sampled": 0, "consistency_differences": 0}
