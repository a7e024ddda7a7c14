"""Dimensions: which value a key has and when, what of a table is in a hash, and which tables are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from feature_store import (
    Contract,
    Count,
    DefinitionError,
    Dimension,
    DistinctCount,
    Entity,
    FeatureView,
    Json,
    Label,
    Mean,
    ModelSpec,
    RequestTime,
    Source,
    TrainingExamples,
    csv_rows,
    entity_key,
    field,
    request,
)
from feature_store.checks import Check
from feature_store.expressions import AS_OF, Expression, FieldType, Scope
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOUR_US = 3_600_000_000
ATTRIBUTES = {"seats": "number", "maker": "text", "built": "time", "jet": "flag"}
ROWS: list[dict[str, object]] = [
    {
        "tail": "N1",
        "seats": 100,
        "maker": "Airbus",
        "built": datetime(1970, 1, 1, 1, tzinfo=UTC),
        "jet": True,
    },
    {"tail": "N2", "seats": "20.5", "maker": "", "built": "1970-01-01T02:00:00+01:00", "jet": "False"},
    {"tail": "N3", "seats": None, "maker": "Cessna", "built": None, "jet": None},
]
FLIGHTS = Source("flights.v1", format=Json({"id": "text", "tail": "text", "at": "time"}), event_time="at")
TAIL = Entity("tail")


def aircraft(**changed: Any) -> Dimension:
    told: dict[str, Any] = {"name": "aircraft", "key": "tail", "attributes": ATTRIBUTES, "rows": ROWS}
    return Dimension(**{**told, **changed})


def evaluate(expression: Expression, tails: list[str | None], hours: list[int]) -> list[Any]:
    columns = {"tail": np.array(tails, np.object_), AS_OF: np.array(hours, np.int64) * HOUR_US}
    expression.type_in(Scope({"tail": FieldType.TEXT}, {}, "rows", is_timed=True))
    found: list[Any] = expression.evaluate(columns, len(tails)).tolist()
    return found


def test_an_attribute_is_what_the_table_has_for_the_key_and_null_for_every_other() -> None:
    tails = ["N2", "N1", "N3", "N9", None, ""]

    def of(name: str) -> list[Any]:
        return evaluate(aircraft()[name].of(field("tail")), tails, [0] * 6)

    np.testing.assert_array_equal(of("seats"), [20.5, 100.0, *[np.nan] * 4])
    assert of("maker") == [None, "Airbus", "Cessna", None, None, None]
    assert [value // HOUR_US for value in of("built")[:2]] == [1, 1]
    assert len(set(of("built")[2:])) == 1
    # A flag comes back as bool, its null as False.
    assert of("jet") == [False, True, False, False, False, False]
    known = ~aircraft()["jet"].of(field("tail")).is_null()
    assert evaluate(known, tails, [0] * 6) == [True, True, False, False, False, False]


def test_the_attributes_combine_as_every_expression_does() -> None:
    large = (aircraft()["seats"].of(field("tail")) > 50) & (aircraft()["maker"].of(field("tail")) == "Airbus")
    assert evaluate(large, ["N1", "N2", None], [0, 0, 0]) == [True, False, False]
    assert (
        str(large)
        == "(aircraft['seats'].of(field('tail')) > 50.0) & (aircraft['maker'].of(field('tail')) == 'Airbus')"
    )


VERSIONS = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(-3, 6)),
    st.one_of(st.none(), st.floats(-9, 9)),
    min_size=1,
)


@given(
    VERSIONS,
    st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d", None]), st.integers(-4, 8))),
    st.randoms(),
)
def test_as_of_a_time_it_is_the_newest_version_begun_by_then(
    versions: dict[tuple[str, int], float | None], asked: list[tuple[str | None, int]], random: Any
) -> None:
    rows = [
        {"tail": key, "since": datetime.fromtimestamp(hour * 3600, UTC), "seats": seats}
        for (key, hour), seats in random.sample(list(versions.items()), len(versions))
    ]
    then = aircraft(attributes={"seats": "number"}, rows=rows, valid_from="since")
    found = evaluate(then["seats"].of(field("tail")), [key for key, _ in asked], [hour for _, hour in asked])
    expected = []
    for key, hour in asked:
        begun = [(at, seats) for (one, at), seats in versions.items() if one == key and at <= hour]
        seats = max(begun)[1] if begun else None
        expected.append(np.nan if seats is None else seats)
    np.testing.assert_array_equal(np.array(found, np.float64), np.array(expected, np.float64))


def test_another_table_is_another_version_of_whatever_reads_it() -> None:
    def hashes(dimension: Dimension) -> list[bytes]:
        class Flights(FeatureView):
            source, entity = FLIGHTS, TAIL
            seats_1h = Mean(dimension["seats"].of(field("tail")), window="1h")

        class Filtered(FeatureView):
            source, entity = FLIGHTS, TAIL
            seats_1h = Count(where=dimension["seats"].of(field("tail")) > 3, window="1h")

        class Keyed(FeatureView):
            source, entity = FLIGHTS, Entity("maker", keys=(dimension["maker"].of(entity_key("tail")),))
            key = dimension["maker"].of(field("tail"))
            flights_1h = Count(window="1h")

        seats = RequestTime("seats", dimension["seats"].of(entity_key("tail")))
        views = [view.view.digest for view in (Flights, Filtered, Keyed)]
        return [*views, Contract.over("", [seats], {}).hash, Contract.over("", [Keyed.flights_1h], {}).hash]

    plain = hashes(aircraft())
    # Neither the order of the rows, nor how a value is written, nor what nobody reads.
    assert hashes(aircraft(rows=[{**row, "other": 1} for row in reversed(ROWS)])) == plain
    assert hashes(aircraft(rows=[*ROWS[:2], {**ROWS[2], "jet": True}])) == plain
    assert hashes(aircraft(rows=[{**ROWS[0], "seats": "1e2"}, *ROWS[1:]], owner="fleet")) == plain
    more = hashes(aircraft(rows=[{**ROWS[0], "seats": 101}, *ROWS[1:]]))
    assert [ours == theirs for ours, theirs in zip(plain, more, strict=True)] == [
        False,
        False,
        True,
        False,
        True,
    ]
    moved = hashes(aircraft(rows=[{**ROWS[0], "maker": "Boeing"}, *ROWS[1:]]))
    assert [ours == theirs for ours, theirs in zip(plain, moved, strict=True)] == [
        True,
        True,
        False,
        True,
        False,
    ]
    timed = [{**row, "since": "1970-01-01T00:00:00Z"} for row in ROWS]
    assert not set(hashes(aircraft(rows=timed, valid_from="since"))) & set(plain)


def test_a_text_attribute_may_be_counted() -> None:
    class Makers(FeatureView):
        source, entity = FLIGHTS, TAIL
        makers_1h = DistinctCount(aircraft()["maker"].of(field("tail")), window="1h")

    assert "aircraft['maker']" in str(Makers.view.aggregations["makers_1h"].value)


def test_rows_come_from_a_file_with_the_line_of_each(tmp_path: Path) -> None:
    file = tmp_path / "planes.csv"
    file.write_text('tail,seats,maker\r\nN1,100,"Airbus, SE"\r\nN2,,\r\n', encoding="utf-8-sig")
    planes = aircraft(attributes={"seats": "number", "maker": "text"}, rows=csv_rows(file))
    assert evaluate(planes["maker"].of(field("tail")), ["N1", "N2"], [0, 0]) == ["Airbus, SE", None]
    file.write_text("tail,seats\nN1,100\nN2,many\n")
    with pytest.raises(DefinitionError) as caught:
        aircraft(attributes={"seats": "number"}, rows=csv_rows(file))
    assert str(caught.value) == (
        f"{file}:3: Dimension('aircraft'): column 'seats': 'many' is no number. "
        "Write a finite number, or nothing."
    )


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (b"", 1, "its first line does not name each column once"),
        (b"tail,tail\nN1,N2\n", 1, "its first line does not name each column once"),
        (b"tail,seats\nN1\n", 2, "a line has 1 cells, and there are 2 columns"),
        (b"tail,seats\nN1,1\n\n", 3, "a line has 0 cells, and there are 2 columns"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, line: int, problem: str) -> None:
    file = tmp_path / "planes.csv"
    file.write_bytes(content)
    with pytest.raises(DefinitionError, match=problem) as caught:
        csv_rows(file)
    assert caught.value.location is not None
    assert (caught.value.location.file, caught.value.location.line) == (str(file), line)


@pytest.mark.parametrize("content", [None, b"tail\n\xff\n", b'tail\n"N1'])
def test_a_file_that_cannot_be_read_is_refused_where_it_is_named(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "planes.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DefinitionError, match="it cannot be read") as caught:
        csv_rows(file)
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def only(**row: object) -> list[dict[str, object]]:
    return [{**ROWS[0], **row}]


REFUSALS: dict[str, tuple[Callable[[], object], str, str]] = {
    "no attributes": (
        lambda: aircraft(attributes={}),
        "it has no attributes",
        'Write attributes={"seats": "number"}.',
    ),
    "kind": (
        lambda: aircraft(attributes={"seats": "integer"}),
        "attribute 'seats' is a 'integer'",
        "Write one of number, text, time, flag.",
    ),
    "duration": (
        lambda: aircraft(attributes={"seats": FieldType.DURATION}),
        "attribute 'seats' is a 'duration'",
        "Write one of number, text, time, flag.",
    ),
    "no rows": (lambda: aircraft(rows=[]), "it has no rows", "Write at least one row."),
    "no key column": (lambda: aircraft(key="tial"), "its rows have no column 'tial'", "Did you mean 'tail'?"),
    "no column": (
        lambda: aircraft(attributes={"seat": "number"}),
        "its rows have no column 'seat'",
        "Did you mean 'seats'?",
    ),
    "no key": (
        lambda: aircraft(rows=only(tail="")),
        "row 1 has no 'tail'",
        "Give it one, or remove the row.",
    ),
    "key twice": (
        lambda: aircraft(rows=[*ROWS, ROWS[1]]),
        "row 4 has the key 'N2' of another row",
        "Remove one; of a key that changes, name the column valid_from=.",
    ),
    "no time": (
        lambda: aircraft(rows=only(since=None), valid_from="since"),
        "row 1 has no 'since'",
        "Give it one, or remove the row.",
    ),
    "infinite": (
        lambda: aircraft(rows=only(seats=float("inf"))),
        "column 'seats': inf is no number",
        "Write a finite number, or nothing.",
    ),
    "flag as number": (
        lambda: aircraft(rows=only(seats=True)),
        "column 'seats': True is no number",
        "Write a finite number, or nothing.",
    ),
    "number as text": (
        lambda: aircraft(rows=only(maker=3)),
        "column 'maker': 3 is no text",
        "Write a text, or nothing.",
    ),
    "time without zone": (
        lambda: aircraft(rows=only(built="1999-01-01T00:00:00")),
        "column 'built': '1999-01-01T00:00:00' is no time",
        "Write a time with its offset, such as 2013-01-01T00:00:00Z, or nothing.",
    ),
    "number as time": (
        lambda: aircraft(rows=only(built=1999)),
        "column 'built': 1999 is no time",
        "Write a time with its offset, such as 2013-01-01T00:00:00Z, or nothing.",
    ),
    "no flag": (
        lambda: aircraft(rows=only(jet="yes")),
        "column 'jet': 'yes' is no flag",
        "Write true or false, or nothing.",
    ),
    "unknown attribute": (
        lambda: aircraft()["seat"],
        "it has no attribute 'seat'",
        "Did you mean 'seats'?",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_dimension_without_sense_is_refused_with_what_to_write(case: str) -> None:
    define, problem, instead = REFUSALS[case]
    with pytest.raises(DefinitionError) as caught:
        define()
    error = caught.value
    assert (error.definition, error.problem.split(", at ")[0], error.instead) == (
        "Dimension('aircraft')",
        problem,
        instead,
    )
    assert error.location is not None
    assert error.location.file == __file__


def test_an_attribute_of_something_else_than_a_text_has_no_meaning() -> None:
    with pytest.raises(
        DefinitionError, match=r"test_dimensions\.py:\d+: .*aircraft\['seats'\]\.of\(time\) has"
    ):
        Label("l", source=FLIGHTS, request_key="id", value=aircraft()["seats"].of(field("at")))


def test_what_has_no_time_yet_cannot_ask_for_an_attribute_as_of_it() -> None:
    rows = [{**row, "since": datetime(2000, 1, 1, tzinfo=timezone(timedelta(hours=1)))} for row in ROWS]
    then = aircraft(rows=rows, valid_from="since")["jet"].of(field("tail"))
    with pytest.raises(DefinitionError, match="read as of a time, which its payload does not have yet"):
        Source(
            "flights.v1",
            format=Json({"tail": "text", "at": "time"}),
            event_time="at",
            checks=[Check.that(then, "NO_JET")],
        )
    Label("l", source=FLIGHTS, request_key="id", value=then)


def test_an_entity_key_that_the_examples_lack_is_refused() -> None:
    seats = RequestTime("seats", aircraft()["seats"].of(entity_key("tial")))
    with pytest.raises(
        DefinitionError, match=r"entity_key\('tial'\) is not in TrainingExamples\(entities=.*'tail'"
    ):
        ModelSpec(
            "m",
            features=[seats, RequestTime("same", request("id") == entity_key("tail"))],
            label=Label("l", source=FLIGHTS, request_key="id", value=field("tail") == "N1"),
            examples=TrainingExamples(
                source=FLIGHTS, time=field("at"), entities={"tail": "tail"}, context={"id": "id"}
            ),
            train=lambda *_: None,
        )
