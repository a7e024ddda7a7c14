"""The profile is made of the training set's own rows, statuses, times and slices."""

import numpy as np
from feature_store import Requests
from feature_store.vectors import Vectors
from model_package import canonical_json
from monitoring.profiles import ReferenceProfile
from trainer.domain.profile import reference_profile
from training_sets.examples import LabelledRequests

VALUES = np.array([[1, 5], [0, 6], [3, 0], [0, 8]], np.float32)
STATUSES = np.array([[1, 1], [2, 1], [1, 4], [3, 1]], np.uint8)
TIME_US = np.arange(4, dtype=np.int64)
LABELLED = LabelledRequests(
    requests=Requests(
        TIME_US,
        {"carrier": np.array(["UA", "UA", None, "DL"], object)},
        {"miles": np.array([1.0, 2, 3, 4]), "cabin": np.array(["first", "", "second", "first"], object)},
    ),
    keys=np.array(["a", "b", "c", "d"], object),
    labels=np.array([0.0, 1, 1, 1]),
    known_us=TIME_US,
)


def test_defaults_are_not_taken_for_values() -> None:
    profile = reference_profile(
        ["a", "b"], Vectors(VALUES, STATUSES, ()), LABELLED, np.array([0.2, 0.4]), ["carrier"]
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


def test_categories_are_those_of_slices_that_are_texts() -> None:
    profile = reference_profile(
        ["a", "b"],
        Vectors(VALUES, STATUSES, ()),
        LABELLED,
        np.array([0.2, 0.4]),
        ["carrier", "miles", "cabin"],
    )
    assert ReferenceProfile.parse(profile).categories == {
        "cabin": {"first": 2, "second": 1},
        "carrier": {"DL": 1, "UA": 2},
    }
