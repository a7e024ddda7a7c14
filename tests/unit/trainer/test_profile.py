"""The profile says what the training set looked like."""

from itertools import pairwise

import numpy as np
import pytest
from feature_store.vectors import Vectors
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from model_package import canonical_json
from numpy.typing import NDArray
from trainer.domain.profile import distribution, reference_profile

VALUES = arrays.arrays(
    np.float32, st.integers(1, 200), elements=st.floats(-1000, 1000, width=32, allow_nan=False)
)


@given(VALUES)
def test_every_value_is_in_its_bin(values: NDArray[np.float32]) -> None:
    found = distribution(values)
    edges = [-np.inf, *found["edges"], np.inf]
    counted = [int(((values > low) & (values <= high)).sum()) for low, high in pairwise(edges)]
    assert found["counts"] == counted
    assert sum(counted) == len(values)
    assert found["min"] == values.min()
    assert found["max"] == values.max()


def test_bins_are_cut_at_the_deciles() -> None:
    found = distribution(np.arange(1, 101, dtype=np.float32))
    assert found["edges"] == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert found["counts"] == [10] * 10
    assert found["mean"] == 50.5
    assert found["std"] == pytest.approx(np.arange(1, 101).std(), rel=1e-8)


def test_a_feature_with_one_value_has_one_edge() -> None:
    assert distribution(np.full(7, 2.5, np.float32))["edges"] == [2.5]
    assert distribution(np.full(7, 2.5, np.float32))["counts"] == [7, 0]


def test_a_feature_that_was_never_there_has_no_moments() -> None:
    found = distribution(np.empty(0, np.float32))
    assert found == {"edges": [], "counts": [0], "mean": None, "std": None, "min": None, "max": None}


def test_defaults_are_not_taken_for_values() -> None:
    values = np.array([[1, 5], [0, 6], [3, 0], [0, 8]], np.float32)
    statuses = np.array([[1, 1], [2, 1], [1, 4], [3, 1]], np.uint8)
    profile = reference_profile(
        ["a", "b"], Vectors(values, statuses, ()), np.array([0.0, 1, 1, 1]), np.array([0.2, 0.4])
    )
    a, b = profile["features"]
    assert (a["name"], a["missing_share"], a["mean"]) == ("a", 0.5, 2.0)
    assert a["statuses"] == {"PRESENT": 2, "MISSING": 1, "STALE": 1, "DEFAULTED": 0}
    assert b["statuses"]["DEFAULTED"] == 1
    assert b["min"] == 5
    assert profile["label"] == {"rate": 0.75, "rows": 4}
    assert profile["prediction"]["of"] == "holdout"
    assert profile["rows"] == 4
    canonical_json(profile)


def test_the_last_digits_of_sums_are_dropped() -> None:
    values = np.array([0.1] * 10)
    mean = distribution(values)["mean"]
    assert mean == distribution(np.append(values, values))["mean"] == 0.1
