"""A project with one bad definition does not load, and the message names its file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from feature_store import DefinitionError, load_project

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = """\
from datetime import timedelta
from pathlib import Path
from feature_store import (
    Count, Derived, Dimension, Entity, FeatureView, Json, Label, Mean, ModelSpec, RequestTime, Source,
    TimeSince, TrainingExamples, csv_rows, entity_key, feature_value, field, request,
)

flights = Source(
    "flights.v1",
    format=Json({"id": "text", "origin": "text", "destination": "text", "miles": "number", "at": "time"}),
    event_time="at",
)
planes = Dimension(
    "planes", key="tail", attributes={"seats": "number"}, rows=[{"tail": "N1", "seats": 100}]
)


class Origins(FeatureView):
    source, entity = flights, Entity("origin")
    flights_1h = Count(window="1h")


def model(*features):
    return ModelSpec(
        "far-flights",
        features=features,
        label=Label("far", source=flights, request_key="id", value=field("miles") > 1000),
        examples=TrainingExamples(source=flights, time=field("at"), entities={"origin": "origin"}),
        train=lambda *_: None,
    )


good = model(Origins.flights_1h)
"""

BAD = {
    "a circle": (
        """
one = Derived("one", feature_value("two") + 1)
two = Derived("two", feature_value("one") + 1)
far = model(one, two)
""",
        1,
        "Derived('one'): it reads itself: one -> two -> one",
    ),
    "an unknown field": (
        """
class Far(Origins):
    miles_1h = Mean("mile", window="1h")
""",
        2,
        "Far.miles_1h: field('mile') is not in source flights.v1. Did you mean 'miles'?",
    ),
    "a field of another type than the feature takes": (
        """
class Far(Origins):
    miles_1h = Mean("id", window="1h")
""",
        2,
        "Far.miles_1h: it aggregates a text",
    ),
    "a window smaller than its tiles": (
        """
class Far(Origins):
    soon = Count(window=timedelta(microseconds=5))
""",
        2,
        "Count: window datetime.timedelta(microseconds=5) cannot be cut into 12 equal tiles",
    ),
    "a window of no unit": (
        """
class Far(Origins):
    soon = Count(window="90")
""",
        2,
        "Count: window: '90' is no duration",
    ),
    "a unit that is none": (
        """
class Far(Origins):
    since = TimeSince(window="1h", unit="fortnights")
""",
        2,
        "TimeSince: unit is 'fortnights'",
    ),
    "a duration that is no number": (
        """
class Far(Origins):
    age = Mean(field("at") - field("at"), window="1h")
""",
        2,
        "Far.age: it aggregates a duration",
    ),
    "an entity of one part too many": (
        """
class Far(FeatureView):
    source, entity, key = flights, Entity("route", keys=("origin", "destination")), "origin"
    flights_1h = Count(window="1h")
""",
        1,
        "Far: key has 1 parts, and the key of entity 'route' has 2",
    ),
    "a dimension without the attribute": (
        """
seats = RequestTime("seats", planes["seat"].of(entity_key("origin")))
""",
        1,
        "Dimension('planes'): it has no attribute 'seat'. Did you mean 'seats'?",
    ),
    "two dimensions of one name": (
        """
others = Dimension("planes", key="tail", attributes={"seats": "number"}, rows=[{"tail": "N2", "seats": 9}])
""",
        1,
        "Dimension 'planes': its name is taken by the one at ",
    ),
    "a file that is not there": (
        """
others = Dimension("others", key="x", attributes={"y": "text"}, rows=csv_rows("/no/such/file.csv"))
""",
        1,
        "csv_rows('/no/such/file.csv'): it cannot be read",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_definition_is_refused_where_it_stands(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition, line, message = BAD[case]
    name = f"bad_{case.replace(' ', '_')}"
    file = tmp_path / f"{name}.py"
    file.write_text(PROJECT + definition)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DefinitionError) as caught:
        load_project(name)
    at = PROJECT.count("\n") + 1 + line
    assert str(caught.value).startswith(f"{file}:{at}: {message}")


def test_the_project_that_the_bad_ones_are_made_of_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "good_project.py").write_text(PROJECT)
    monkeypatch.syspath_prepend(str(tmp_path))
    project = load_project("good_project")
    assert (list(project.models), list(project.dimensions)) == (["far-flights"], ["planes"])
