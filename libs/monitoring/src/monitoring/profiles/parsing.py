"""Reading a reference profile: what later arithmetic relies on is checked, and named where it fails."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from monitoring.profiles.distributions import Distribution, FeatureProfile, Variation

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT_VERSION: Final = 2
_KNOWN_VERSIONS: Final = (1, 2)


class MalformedProfile(Exception):
    """A reference profile is not one: says at which place, and what is wrong there."""

    def __init__(self, place: str, problem: str) -> None:
        self.place = place
        self.problem = problem
        super().__init__(f"reference profile, {place}: {problem}")


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceProfile:
    """What later data is compared with.

    Attributes:
        rows: Of the training set.
        label_rate: The share of positives among them; None where labels are not of two classes.
        label_mean: Of all labels; None where the package is from before it was told.
        label_std: See above.
        label_counts: Of other labels that are small whole numbers, how many are 0, 1, 2 ...; else None.
        features: By full name, in the order of the vector.
        prediction: The scores on the holdout.
        categories: By the name of a slice, how many rows had which category. Format version 1 has none.
    """

    rows: int
    label_rate: float | None
    features: Mapping[str, FeatureProfile]
    prediction: Distribution
    categories: Mapping[str, Mapping[str, int]]
    label_mean: float | None = None
    label_std: float | None = None
    label_counts: tuple[int, ...] | None = None

    def label_shares(self, classes: int) -> list[float] | None:
        """Return the share of each of so many classes in training; None where it was not told."""
        counts = self.label_counts
        if counts is None and self.label_rate is not None:
            counts = round(self.rows * (1 - self.label_rate)), round(self.rows * self.label_rate)
        if counts is None or len(counts) > classes or not sum(counts):
            return None
        return [count / sum(counts) for count in (*counts, *[0] * (classes - len(counts)))]

    @classmethod
    def parse(cls, profile: Mapping[str, Any]) -> Self:
        """Read a profile of format version 1 or 2.

        Version 1 has no fine bins (they are the coarse ones), no variation and no categories.

        Raises:
            MalformedProfile: Something is missing, of the wrong kind, or contradicts another part.
        """
        root = _Object(profile, "the top")
        version = root.whole("format_version")
        if version not in _KNOWN_VERSIONS:
            raise MalformedProfile("format_version", f"{version} is not known; this reads 1 and 2")
        return cls(
            rows=root.whole("rows"),
            **_labels(root.object("label")),
            features=_features(root, version),
            prediction=Distribution(**_bins(root.object("prediction"), version)),
            categories=_categories(root.object("categories")) if version > 1 else {},
        )


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object, and where it stands."""

    fields: Mapping[str, Any]
    place: str

    def wrong(self, key: str, problem: str) -> MalformedProfile:
        return MalformedProfile(key if self.place == "the top" else f"{self.place}.{key}", problem)

    def get(self, key: str) -> Any:
        if key not in self.fields:
            raise self.wrong(key, "is missing")
        return self.fields[key]

    def object(self, key: str) -> _Object:
        found = self.get(key)
        if not isinstance(found, Mapping):
            raise self.wrong(key, f"is no object but {_kind(found)}")
        return _Object(found, key if self.place == "the top" else f"{self.place}.{key}")

    def objects(self, key: str, *, named: bool = False) -> list[_Object]:
        found = self.get(key)
        if not (isinstance(found, list) and all(isinstance(one, Mapping) for one in found)):
            raise self.wrong(key, "is no list of objects")
        return [
            _Object(one, f"{key}[{one.get('name', at) if named else at}]") for at, one in enumerate(found)
        ]

    def whole(self, key: str) -> int:
        found = self.get(key)
        if not _is_count(found):
            raise self.wrong(key, f"is no whole number from 0 but {found!r}")
        return int(found)

    def number(self, key: str) -> float:
        found = self.get(key)
        if not _is_number(found):
            raise self.wrong(key, f"is no finite number but {found!r}")
        return float(found)

    def moment(self, key: str) -> float | None:
        return None if self.get(key) is None else self.number(key)

    def share(self, key: str) -> float:
        found = self.number(key)
        if not 0 <= found <= 1:
            raise self.wrong(key, f"is no share of 0 to 1 but {found}")
        return found

    def optional_share(self, key: str) -> float | None:
        return None if self.get(key) is None else self.share(key)

    def edges(self, key: str) -> NDArray[np.float64]:
        found = self.get(key)
        if not (isinstance(found, list) and all(_is_number(one) for one in found)):
            raise self.wrong(key, "is no list of finite numbers")
        edges = np.array(found, np.float64)
        if not (np.diff(edges) > 0).all():
            raise self.wrong(key, "does not ascend")
        return edges

    def counts(self, key: str, edges: NDArray[np.float64]) -> NDArray[np.int64]:
        found = self.get(key)
        if not (isinstance(found, list) and all(_is_count(one) for one in found)):
            raise self.wrong(key, "is no list of whole numbers from 0")
        if len(found) != len(edges) + 1:
            raise self.wrong(key, f"has {len(found)} counts for {len(edges)} edges; one more than edges fits")
        return np.array(found, np.int64)


def _labels(label: _Object) -> dict[str, Any]:
    rate = label.optional_share("rate")
    if rate is not None:
        return {"label_rate": rate, "label_mean": rate, "label_std": math.sqrt(rate * (1 - rate))}
    told: dict[str, Any] = {"label_rate": None}
    if "mean" in label.fields:
        told |= {"label_mean": label.number("mean"), "label_std": label.number("std")}
    if "counts" in label.fields:
        free = np.arange(len(label.get("counts")) - 1, dtype=np.float64)
        told["label_counts"] = tuple(label.counts("counts", free).tolist())
    return told


def _features(root: _Object, version: int) -> dict[str, FeatureProfile]:
    features: dict[str, FeatureProfile] = {}
    for one in root.objects("features", named=True):
        name = one.get("name")
        if not isinstance(name, str) or not name:
            raise one.wrong("name", f"is no name but {name!r}")
        if name in features:
            raise MalformedProfile(one.place, "stands there twice")
        features[name] = FeatureProfile(
            **_bins(one, version),
            missing_share=one.share("missing_share"),
            variation=_variation(one) if version > 1 else {},
        )
    return features


def _bins(one: _Object, version: int) -> dict[str, Any]:
    edges = one.edges("edges")
    counts = one.counts("counts", edges)
    fine_edges = one.edges("fine_edges") if version > 1 else edges
    fine_counts = one.counts("fine_counts", fine_edges) if version > 1 else counts
    if not np.isin(edges, fine_edges).all():
        raise one.wrong("fine_edges", "lacks an edge of `edges`")
    minimum, maximum = one.moment("min"), one.moment("max")
    if minimum is not None and maximum is not None and minimum > maximum:
        raise one.wrong("min", f"is {minimum}, above max {maximum}")
    if (minimum is None or maximum is None) and counts.any():
        raise one.wrong("min" if minimum is None else "max", "is null, and yet there are values")
    found: dict[str, Any] = {
        "edges": edges,
        "counts": counts,
        "fine_edges": fine_edges,
        "fine_counts": fine_counts,
        "minimum": minimum,
        "maximum": maximum,
        "mean": one.moment("mean"),
        "std": one.moment("std"),
    }
    if not (Distribution(**found).coarsen(fine_counts) == counts).all():
        raise one.wrong("fine_counts", "do not sum up to `counts`")
    return found


def _variation(one: _Object) -> dict[int, Variation]:
    return {
        each.whole("window_us"): Variation(
            each.whole("windows"),
            each.number("mean_psi"),
            each.number("max_psi"),
            each.share("max_missing_share"),
        )
        for each in one.objects("variation")
    }


def _categories(found: _Object) -> dict[str, dict[str, int]]:
    slices = {name: found.object(name) for name in found.fields}
    return {name: {key: one.whole(key) for key in one.fields} for name, one in slices.items()}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
