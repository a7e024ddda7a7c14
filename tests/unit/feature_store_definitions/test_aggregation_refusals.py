"""Aggregations that make no sense are refused when they are written, with the problem and a way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from feature_store import (
    Count,
    DefinitionError,
    DistinctCount,
    Entity,
    Ewma,
    FeatureView,
    First,
    Json,
    Last,
    Max,
    Mean,
    Min,
    Quantile,
    Source,
    Std,
    Sum,
    TimeSince,
    field,
)
from feature_store.tiles import ALL_TIME_US

if TYPE_CHECKING:
    from collections.abc import Callable

    from feature_store.definitions import Aggregation

FORMAT = Json({"user": "text", "city": "text", "price": "number", "void": "flag", "at": "time"})
PLAIN = Source("plain.v1", format=FORMAT, event_time="at")
RETRACTING = Source("sales.v1", format=FORMAT, event_time="at", retracts=field("void"))


def view(source: Source, aggregation: Aggregation) -> type[FeatureView]:
    return type("Sales", (FeatureView,), {"source": source, "entity": Entity("user"), "kept": aggregation})


def quantile(**changed: Any) -> Quantile:
    return Quantile("price", **{"q": 0.5, "low": 1.0, "high": 10.0, "window": "1h", **changed})


REFUSALS: dict[str, tuple[Callable[[], object], str, str]] = {
    "unit": (
        lambda: TimeSince(window="1h", unit="weeks"),
        "unit is 'weeks'",
        "Write one of seconds, minutes, hours, days.",
    ),
    "half life form": (
        lambda: Ewma("price", half_life="soon", window="1h"),
        "half_life: 'soon' is no duration",
        'Write "15m", "1h", "7d" or a timedelta.',
    ),
    "half life below a tile": (
        lambda: Ewma("price", half_life="1m", window="1h"),
        "half_life '1m' is shorter than a tile, or longer than the window",
        "Write one between the two, or change the window or its tiles.",
    ),
    "half life beyond the window": (
        lambda: Ewma("price", half_life="2h", window="1h"),
        "half_life '2h' is shorter than a tile, or longer than the window",
        "Write one between the two, or change the window or its tiles.",
    ),
    "ewma of all time": (
        lambda: Ewma("price", half_life="1h", window="all"),
        "its window is all time, which is one tile",
        'Write a window such as "24h".',
    ),
    "precision": (
        lambda: DistinctCount("city", precision=13, window="1h"),
        "precision is 13",
        "Write 6 to 12.",
    ),
    "q": (lambda: quantile(q=90), "q is 90", "Write a number from 0 to 1."),
    "low": (lambda: quantile(low=0), "low is 0, high is 10.0", "Write 0 < low < high."),
    "high": (lambda: quantile(high=1), "low is 1.0, high is 1", "Write 0 < low < high."),
    "accuracy": (
        lambda: quantile(accuracy=0.9),
        "accuracy is 0.9",
        "Write a number from 0.001 to 0.5.",
    ),
    "buckets": (
        lambda: quantile(high=1e6, accuracy=0.01),
        "it takes 693 buckets; 512 may be",
        "Write a coarser accuracy, or bring low and high closer together.",
    ),
    "distinct flags": (
        lambda: view(PLAIN, DistinctCount("void", window="1h")),
        "it aggregates a flag",
        "Name a text or a number.",
    ),
    "deviation of texts": (
        lambda: view(PLAIN, Std("city", window="1h")),
        "it aggregates a text",
        "Compare a text, or divide a duration by a timedelta, to get a number or a flag.",
    ),
    "retracts what": (
        lambda: Source("s.v1", format=FORMAT, event_time="at", retracts=field("price")),
        "retracts is a number",
        'Write a condition, such as field("kind") == "cancelled".',
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_an_aggregation_without_sense_is_refused_with_what_to_write(case: str) -> None:
    define, problem, instead = REFUSALS[case]
    with pytest.raises(DefinitionError) as caught:
        define()
    assert (caught.value.problem, caught.value.instead) == (problem, instead)
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


@pytest.mark.parametrize(
    "aggregation",
    [
        Min("price", window="1h"),
        Max("price", window="1h"),
        First("price", window="1h"),
        Last("price", window="1h"),
        TimeSince(window="1h"),
        DistinctCount("city", window="1h"),
    ],
    ids=lambda aggregation: type(aggregation).__name__,
)
def test_what_cannot_be_taken_back_is_refused_of_a_source_that_takes_back(aggregation: Aggregation) -> None:
    name = type(aggregation).__name__
    with pytest.raises(DefinitionError) as caught:
        view(RETRACTING, aggregation)
    assert caught.value.definition == "Sales.kept"
    assert caught.value.problem == f"events of source sales.v1 can be taken back, and a {name} cannot"
    assert caught.value.instead.startswith("Use Count, Sum, Mean, Std, Share, Quantile or Ewma")


@pytest.mark.parametrize(
    "aggregation",
    [
        Count(window="90d"),
        Sum("price", window="1m"),
        Mean("price", window="all"),
        Std("price", window="all"),
        quantile(window="all"),
        Ewma("price", half_life="5m", window="1h"),
    ],
    ids=lambda aggregation: type(aggregation).__name__,
)
def test_what_is_added_may_be_of_a_source_that_takes_back(aggregation: Aggregation) -> None:
    assert view(RETRACTING, aggregation).view.aggregations["kept"] is aggregation


def test_all_time_is_one_tile_and_never_stale() -> None:
    kept = Count(window="all")
    assert (kept.window_us, kept.tiles, kept.tile_us) == (ALL_TIME_US, 1, ALL_TIME_US)
    assert view(PLAIN, kept).view.ttl_us == ALL_TIME_US


def test_what_changes_a_value_changes_the_digest() -> None:
    def digest(source: Source, aggregation: Aggregation) -> bytes:
        return view(source, aggregation).view.digest

    def same(source: str) -> Source:
        return Source(source, format=FORMAT, event_time="at")

    plain = digest(same("sales.v1"), Mean("price", window="1h"))
    assert digest(same("sales.v1"), Mean("price", window="1h")) == plain
    assert digest(RETRACTING, Mean("price", window="1h")) != plain
    for one, other in (
        (quantile(), quantile(q=0.9)),
        (quantile(), quantile(accuracy=0.06)),
        (DistinctCount("city", window="1h"), DistinctCount("city", window="1h", precision=9)),
        (Ewma("price", half_life="5m", window="1h"), Ewma("price", half_life="6m", window="1h")),
        (TimeSince(window="1h"), TimeSince(window="1h", unit="days")),
    ):
        assert digest(PLAIN, one) != digest(PLAIN, other)
