"""A profile is built as it is read; what later data would be counted with is exact."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from monitoring import psi
from monitoring.profiles import (
    Distribution,
    MalformedProfile,
    ReferenceProfile,
    TrainingSet,
    build_profile,
    distribution,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY_US = 86_400_000_000
WEEK_US = 7 * DAY_US
VALUES = arrays.arrays(
    np.float32, st.integers(1, 300), elements=st.floats(-1000, 1000, width=32, allow_nan=False)
)
FEW_VALUES = arrays.arrays(np.float32, st.integers(1, 300), elements=st.integers(0, 5).map(float))


def parsed(values: NDArray[Any], **options: float) -> Distribution:
    found = distribution(values, **options)
    return Distribution(
        np.array(found["edges"]),
        np.array(found["counts"]),
        np.array(found["fine_edges"]),
        np.array(found["fine_counts"]),
        found["min"],
        found["max"],
        found["mean"],
        found["std"],
    )


def training_set(days: int = 28, rows_a_day: int = 100, **changes: Any) -> TrainingSet:
    """Two features: one without drift, one whose days differ."""
    rng = np.random.default_rng(3)
    n = days * rows_a_day
    day = np.repeat(np.arange(days), rows_a_day)
    values = np.stack([rng.normal(size=n), rng.normal(size=days)[day] + 0.1 * rng.normal(size=n)], axis=1)
    fields: dict[str, Any] = {
        "names": ["still", "weather"],
        "values": values.astype(np.float32),
        "present": np.ones((n, 2), bool),
        "statuses": [{"PRESENT": n}, {"PRESENT": n}],
        "time_us": day * DAY_US + np.tile(np.arange(rows_a_day), days) * (DAY_US // rows_a_day),
        "labels": rng.integers(0, 2, n).astype(float),
        "categories": {"carrier": np.array(["UA", "DL", None, ""], object)[np.arange(n) % 4]},
    }
    return TrainingSet(**{**fields, **changes})


def profile(**changes: Any) -> dict[str, Any]:
    built = build_profile(training_set(**changes), np.linspace(0.01, 0.99, 500))
    again: dict[str, Any] = json.loads(json.dumps(built, allow_nan=False))
    return again


@given(st.one_of(VALUES, FEW_VALUES))
def test_every_value_is_in_its_bin(values: NDArray[np.float32]) -> None:
    found = distribution(values)
    for prefix in ("", "fine_"):
        edges = [-np.inf, *found[f"{prefix}edges"], np.inf]
        counted = [int(((values > low) & (values <= high)).sum()) for low, high in pairwise(edges)]
        assert found[f"{prefix}counts"] == counted
    assert found["min"] == values.min()
    assert found["max"] == values.max()


@given(st.one_of(VALUES, FEW_VALUES), VALUES)
def test_coarse_bins_are_unions_of_fine_ones(values: NDArray[np.float32], later: NDArray[np.float32]) -> None:
    found = parsed(values)
    assert (found.count(values) == found.fine_counts).all()
    assert (found.coarsen(found.fine_counts) == found.counts).all()
    directly = np.bincount(np.searchsorted(found.edges, later, side="left"), minlength=len(found.counts))
    assert (found.coarsen(found.count(later)) == directly).all()


def test_counts_of_many_windows_are_made_coarse_at_once() -> None:
    found = parsed(np.arange(1000, dtype=np.float32))
    windows = np.stack([found.count(np.arange(at, at + 50, dtype=np.float32)) for at in range(0, 500, 100)])
    assert (found.coarsen(windows) == [found.coarsen(one) for one in windows]).all()


def test_bins_are_cut_at_the_deciles() -> None:
    found = distribution(np.arange(1, 101, dtype=np.float32))
    assert found["edges"] == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert found["counts"] == [10] * 10
    assert found["fine_counts"] == [1] * 100
    assert found["mean"] == 50.5
    assert found["std"] == pytest.approx(np.arange(1, 101).std(), rel=1e-8)


def test_a_feature_with_one_value_has_one_edge_and_room_above() -> None:
    found = distribution(np.full(7, 2.5, np.float32))
    assert (found["edges"], found["counts"]) == ([2.5], [7, 0])


def test_a_feature_that_was_never_there_has_no_moments_and_no_distance() -> None:
    found = parsed(np.empty(0, np.float32))
    assert found.minimum is found.mean is None
    assert found.counts.tolist() == [0]
    assert psi(found.counts, found.coarsen(found.count(np.ones(5, np.float32)))) is None


def test_the_last_digits_of_sums_are_dropped() -> None:
    values = np.array([0.1] * 10)
    assert distribution(values)["mean"] == distribution(np.append(values, values))["mean"] == 0.1


def test_scores_that_many_rows_share_stay_in_their_bins_when_served() -> None:
    """A tree has few scores, and ONNX gives them in float32: without room, thousands would change sides."""
    rng = np.random.default_rng(4)
    scores = rng.choice([0.1, 0.2, 0.3, 0.7], size=4000)
    found = parsed(scores, tolerance=1e-5)
    served = scores + rng.uniform(-5e-6, 5e-6, size=4000)
    assert psi(found.counts, found.coarsen(found.count(served))) == 0
    assert psi(parsed(scores).counts, parsed(scores).coarsen(parsed(scores).count(served))) != 0


def test_scores_nearer_than_the_room_are_parted_half_way() -> None:
    found = distribution(np.array([0.5, 0.5, 0.500001, 0.500001]), tolerance=1e-5)
    assert found["counts"] == [2, 2, 0]
    assert found["edges"] == pytest.approx([0.5000005, 0.500011], abs=1e-9)


@given(arrays.arrays(np.float64, st.integers(1, 200), elements=st.floats(0, 1)))
def test_room_above_the_edges_moves_no_score_of_the_reference(scores: NDArray[np.float64]) -> None:
    roomy = distribution(scores, tolerance=1e-5)
    bins = np.searchsorted(roomy["fine_edges"], scores, side="left")
    assert roomy["fine_counts"] == np.bincount(bins, minlength=len(roomy["fine_edges"]) + 1).tolist()
    assert (np.diff(roomy["fine_edges"]) > 0).all()


def test_large_scores_stay_in_their_bins_when_a_graph_answers_in_float32() -> None:
    """The leaves of trees: few values, each shared by many rows, in a unit of tens of thousands."""
    leaves = np.random.default_rng(2).uniform(20_000, 90_000, 40)
    scores = np.random.default_rng(3).choice(leaves, 4_000)
    found = ReferenceProfile.parse(build_profile(training_set(), scores)).prediction
    assert found.count(scores.astype(np.float32)).tolist() == found.count(scores).tolist()


def test_labels_that_are_not_of_two_classes_are_told_by_mean_spread_and_count() -> None:
    rows = training_set()
    classes = np.arange(len(rows.labels)) % 3
    found = ReferenceProfile.parse(build_profile(replace(rows, labels=classes.astype(float)), np.ones(9)))
    assert (found.label_rate, found.label_mean) == (None, pytest.approx(classes.mean(), rel=1e-8))
    assert found.label_shares(4) == pytest.approx([*(np.bincount(classes) / len(classes)), 0.0])
    values = replace(rows, labels=classes * -7.25)
    found = ReferenceProfile.parse(build_profile(values, np.ones(9)))
    assert found.label_std == pytest.approx((classes * 7.25).std(), rel=1e-8)
    assert found.label_shares(3) is None


def test_what_is_built_is_parsed() -> None:
    found = ReferenceProfile.parse(profile())
    rows = training_set()
    assert found.rows == len(rows.labels)
    assert found.label_rate == pytest.approx(rows.labels.mean(), rel=1e-8)
    assert list(found.features) == ["still", "weather"]
    assert found.features["still"].fine_counts.sum() == len(rows.labels)
    assert found.features["still"].missing_share == 0
    assert found.prediction.rows == 500
    assert found.categories == {"carrier": {"DL": 700, "UA": 700}}


def test_only_values_that_were_there_are_profiled() -> None:
    present = np.ones((2800, 2), bool)
    present[:700, 0] = False
    found = ReferenceProfile.parse(profile(present=present)).features
    assert (found["still"].rows, found["still"].missing_share) == (2100, 0.25)
    assert found["weather"].rows == 2800


def test_a_feature_that_was_never_there_is_parsed() -> None:
    present = np.ones((2800, 2), bool)
    present[:, 1] = False
    found = ReferenceProfile.parse(profile(present=present)).features["weather"]
    assert (found.rows, found.missing_share, found.maximum) == (0, 1.0, None)
    assert found.drift_threshold(0.25, DAY_US) == 0.25


def test_variation_is_of_each_window_against_all_others() -> None:
    rows = training_set()
    found = ReferenceProfile.parse(profile()).features["weather"]
    bins = np.searchsorted(found.edges, rows.values[:, 1].astype(np.float64))
    expected = []
    for start in range(0, 28 * DAY_US, WEEK_US):
        inside = (rows.time_us >= start) & (rows.time_us < start + WEEK_US)
        counts = [np.bincount(bins[part], minlength=10) for part in (~inside, inside)]
        expected.append(psi(*counts))
    measured = found.variation[WEEK_US]
    assert measured.windows == 4
    assert measured.mean_psi == pytest.approx(np.mean(np.array(expected, float)))
    assert measured.max_psi == pytest.approx(max(np.array(expected, float)))


def test_days_that_differ_raise_the_threshold_and_others_do_not() -> None:
    found = ReferenceProfile.parse(profile(rows_a_day=500)).features
    assert found["still"].drift_threshold(0.25, DAY_US) == 0.25
    assert found["weather"].drift_threshold(0.25, DAY_US) > 2
    assert found["weather"].variation[WEEK_US].max_psi < found["weather"].variation[DAY_US].max_psi


@pytest.mark.parametrize(
    ("window_us", "taken_us"),
    [
        (DAY_US, DAY_US),
        (3 * DAY_US, DAY_US),
        (WEEK_US, WEEK_US),
        (30 * DAY_US, WEEK_US),
        (DAY_US // 4, DAY_US),
    ],
)
def test_a_length_that_was_not_measured_takes_the_nearest_that_varies_more(
    window_us: int, taken_us: int
) -> None:
    found = ReferenceProfile.parse(profile()).features["weather"]
    assert found.variation_of(window_us) == found.variation[taken_us]


def test_windows_that_are_not_covered_or_thin_are_not_compared() -> None:
    found = ReferenceProfile.parse(profile(days=10)).features["weather"].variation
    assert (found[DAY_US].windows, found[WEEK_US].windows) == (10, 1)
    thin = ReferenceProfile.parse(profile(days=28, rows_a_day=40)).features["weather"]
    assert (thin.variation[DAY_US].windows, thin.variation[WEEK_US].windows) == (0, 4)
    assert thin.variation_of(DAY_US) == thin.variation[WEEK_US]


def test_the_same_rows_in_another_order_have_the_same_profile() -> None:
    rows, order = training_set(), np.random.default_rng(9).permutation(2800)
    shuffled = training_set(
        values=rows.values[order],
        time_us=rows.time_us[order],
        labels=rows.labels[order],
        categories={"carrier": rows.categories["carrier"][order]},
    )
    scores = np.linspace(0.01, 0.99, 500)
    assert build_profile(shuffled, scores) == build_profile(rows, scores)


def test_version_1_is_read_with_coarse_bins_alone() -> None:
    old = profile()
    old["format_version"] = 1
    del old["categories"]
    for one in [old["prediction"], *old["features"]]:
        del one["fine_edges"], one["fine_counts"]
    for one in old["features"]:
        del one["variation"]
    found = ReferenceProfile.parse(old)
    still = found.features["still"]
    assert (still.fine_counts == still.counts).all()
    assert (still.coarsen(still.counts) == still.counts).all()
    assert still.drift_threshold(0.25, WEEK_US) == 0.25
    assert found.categories == {}


def change(at: str, value: Any) -> dict[str, Any]:
    """A sound profile with one place changed, or removed where the value is `...`."""
    found = copy.deepcopy(profile(days=2))
    *path, last = [int(step) if step.isdigit() else step for step in at.split("/")]
    inner: Any = found
    for step in path:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return found


@pytest.mark.parametrize(
    ("at", "value", "place", "said"),
    [
        ("format_version", ..., "format_version", "is missing"),
        ("format_version", 3, "format_version", "this reads 1 and 2"),
        ("rows", -1, "rows", "no whole number"),
        ("label", None, "label", "no object but null"),
        ("label/rate", 1.5, "label.rate", "no share"),
        ("label/rate", True, "label.rate", "no finite number"),
        ("features", {}, "features", "no list of objects"),
        ("features", ["a"], "features", "no list of objects"),
        ("features/0/name", ..., "features[0].name", "is missing"),
        ("features/0/name", "", "features[].name", "no name"),
        ("features/1/name", "still", "features[still]", "twice"),
        ("features/0/missing_share", ..., "features[still].missing_share", "is missing"),
        ("features/0/edges", [2, 1], "features[still].edges", "does not ascend"),
        ("features/0/edges", [float("nan")], "features[still].edges", "finite"),
        ("features/0/counts", [1], "features[still].counts", "one more than edges"),
        ("features/0/counts", [0.5] * 10, "features[still].counts", "whole numbers"),
        ("features/0/fine_edges", ..., "features[still].fine_edges", "is missing"),
        ("features/0/fine_counts", [0] * 100, "features[still].fine_counts", "sum up"),
        ("features/0/min", 1e9, "features[still].min", "above max"),
        ("features/0/max", None, "features[still].max", "yet there are values"),
        ("features/0/variation/0/windows", None, "variation[0].windows", "no whole number"),
        ("prediction", ..., "prediction", "is missing"),
        ("prediction/edges", "deciles", "prediction.edges", "no list"),
        ("categories", ..., "categories", "is missing"),
        ("categories/carrier", ["UA"], "categories.carrier", "no object"),
        ("categories/carrier/UA", "many", "categories.carrier.UA", "no whole number"),
    ],
)
def test_what_is_no_profile_is_named(at: str, value: Any, place: str, said: str) -> None:
    with pytest.raises(MalformedProfile, match=said) as raised:
        ReferenceProfile.parse(change(at, value))
    assert raised.value.place.endswith(place)


def test_edges_that_are_no_fine_edges_are_refused() -> None:
    found = profile(days=2)
    found["features"][0]["edges"][0] -= 1e-3
    with pytest.raises(MalformedProfile, match="lacks an edge"):
        ReferenceProfile.parse(found)


def test_counts_in_other_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="own fine_edges"):
        parsed(np.arange(100, dtype=np.float32)).coarsen(np.ones(7, np.int64))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"names": ["still"]}, "do not fit"),
        ({"present": np.ones((5, 2), bool)}, "do not fit"),
        ({"statuses": []}, "do not fit"),
        ({"time_us": np.arange(3)}, "must have 2800 rows"),
        ({"categories": {"carrier": np.array(["UA"], object)}}, "must have 2800 rows"),
    ],
)
def test_a_training_set_whose_parts_do_not_fit_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        training_set(**changes)


def test_nothing_is_profiled_without_rows_or_holdout() -> None:
    with pytest.raises(ValueError, match="without rows"):
        training_set(days=0)
    with pytest.raises(ValueError, match="holdout"):
        build_profile(training_set(), np.empty(0))


def test_what_was_missing_on_the_worst_day_is_no_reason_to_worry() -> None:
    rows = training_set()
    present = np.ones((len(rows.time_us), 2), bool)
    present[:, 1] = np.arange(len(rows.time_us)) % 2 == 0
    worst = rows.time_us // DAY_US == 9
    present[worst, 1] = np.arange(worst.sum()) < worst.sum() // 10
    found = ReferenceProfile.parse(profile(present=present)).features
    assert found["weather"].missing_threshold(0.1, DAY_US) == pytest.approx(0.9)
    assert found["weather"].missing_threshold(0.45, DAY_US) == pytest.approx(
        found["weather"].missing_share + 0.45
    )
    assert found["still"].missing_threshold(0.1, DAY_US) == 0.1
    assert found["weather"].missing_threshold(0.1, 3 * DAY_US) == pytest.approx(
        found["weather"].missing_share + 0.1
    )
