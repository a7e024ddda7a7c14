"""What the functions over expressions mean, nulls included, and what they refuse."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from feature_store import (
    DefinitionError,
    FieldType,
    category,
    ceil,
    clip,
    coalesce,
    day_of_month,
    day_of_year,
    exp,
    field,
    floor,
    haversine_km,
    is_weekend,
    iso_week,
    log,
    lookup,
    maximum,
    minimum,
    power,
    sqrt,
    where,
)
from feature_store.errors import TypeMismatchError
from feature_store.expressions import Expression, Scope, column_of, vocabulary_of

if TYPE_CHECKING:
    from collections.abc import Callable

NULL = None
FIELDS = {
    "x": FieldType.NUMBER,
    "y": FieldType.NUMBER,
    "name": FieldType.TEXT,
    "ok": FieldType.FLAG,
    "at": FieldType.TIME,
}
COLUMNS = {
    "x": column_of(FieldType.NUMBER, [2.5, -0.5, NULL]),
    "y": column_of(FieldType.NUMBER, [4.0, NULL, 9.0]),
    "name": column_of(FieldType.TEXT, ["AA", "", NULL]),
    "ok": column_of(FieldType.FLAG, [1, 0, NULL]),
    "at": column_of(FieldType.TIME, [0, 86_400_000_000, NULL]),
}
X, Y, NAME, OK, AT = (field(name) for name in FIELDS)


def evaluated(expression: Expression) -> list[Any]:
    expression.type_in(Scope(FIELDS, {}, "rows"))
    column = expression.evaluate(COLUMNS, 3)
    if column.dtype.kind == "f":
        return [NULL if math.isnan(value) else value for value in column.tolist()]
    return list(column.tolist())


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (abs(X), [2.5, 0.5, NULL]),
        (abs(AT - timedelta(hours=1) - AT) / timedelta(hours=1), [1.0, 1.0, NULL]),
        (floor(X), [2.0, -1.0, NULL]),
        (ceil(X), [3.0, 0.0, NULL]),
        (round(X), [2.0, 0.0, NULL]),
        (round(X + 1), [4.0, 0.0, NULL]),
        (sqrt(Y), [2.0, NULL, 3.0]),
        (sqrt(X), [math.sqrt(2.5), NULL, NULL]),
        (exp(X * 0), [1.0, 1.0, NULL]),
        (exp(X * 1000), [NULL, 0.0, NULL]),
        (log(X - X + 1), [0.0, 0.0, NULL]),
        (log(X - X), [NULL, NULL, NULL]),
        (power(Y, 0.5), [2.0, NULL, 3.0]),
        (power(X, 0.5), [math.sqrt(2.5), NULL, NULL]),
        (minimum(X, Y), [2.5, NULL, NULL]),
        (maximum(X, 0), [2.5, 0.0, NULL]),
        (maximum(0, X), [2.5, 0.0, NULL]),
        (clip(X, 0, 1), [1.0, 0.0, NULL]),
        (where(OK, X, Y), [2.5, NULL, 9.0]),
        (where(X > 0, "a", NAME) == "a", [True, False, False]),
        (where(OK, OK, X > 100), [True, False, False]),
        (coalesce(X, Y, 7), [2.5, -0.5, 9.0]),
        (coalesce(Y, 7), [4.0, 7.0, 9.0]),
        (coalesce(NAME, "AA") == "AA", [True, False, True]),
        (coalesce(OK, Y > 5), [True, False, True]),
        (lookup(NAME, {"AA": 1, "": 2}), [1.0, 2.0, NULL]),
        (lookup(NAME, {"AA": 1}, otherwise=-3), [1.0, -3.0, -3.0]),
        (lookup(X, {2.5: 10, 3: 20}), [10.0, NULL, NULL]),
        (lookup(X, {9: 10}, otherwise=0), [0.0, 0.0, 0.0]),
        (category(NAME, ["UA", "AA"]), [1.0, -1.0, -1.0]),
        (category(NAME, ["UA", "AA"], unknown=2), [1.0, 2.0, 2.0]),
        (day_of_month(AT, zone="America/New_York"), [31.0, 1.0, NULL]),
        (day_of_year(AT, zone="UTC"), [1.0, 2.0, NULL]),
        (day_of_year(AT, zone="America/New_York"), [365.0, 1.0, NULL]),
        (iso_week(AT, zone="UTC"), [1.0, 1.0, NULL]),
        (is_weekend(AT + timedelta(days=2), zone="UTC"), [True, True, False]),
        (is_weekend(AT, zone="UTC"), [False, False, False]),
        (haversine_km(0, 0, 0, X * 0 + 180), [math.pi * 6371.0088] * 2 + [NULL]),
        (haversine_km(X * 100, 0, 0, 0), [NULL, 50 * math.pi / 180 * 6371.0088, NULL]),
        (haversine_km(0, 0, 0, Y * 100), [NULL, NULL, NULL]),
    ],
    ids=str,
)
def test_a_function_means_what_it_says(expression: Expression, expected: list[Any]) -> None:
    found = evaluated(expression)
    assert found == [value if value is NULL else pytest.approx(value, rel=1e-14) for value in expected]


def test_calendar_parts_are_those_of_the_standard_library() -> None:
    days = [datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=37 * number) for number in range(980)]
    columns = {"at": np.array([int(day.timestamp()) * 1_000_000 for day in days])}
    parts: list[tuple[Expression, Callable[[datetime], int]]] = [
        (iso_week(AT, zone="UTC"), lambda day: day.isocalendar().week),
        (day_of_month(AT, zone="UTC"), lambda day: day.day),
        (day_of_year(AT, zone="UTC"), lambda day: day.timetuple().tm_yday),
    ]
    for expression, of in parts:
        assert expression.evaluate(columns, len(days)).tolist() == [of(day) for day in days]


def test_distances_are_those_of_the_textbook_formula() -> None:
    rng = np.random.default_rng(5)
    points = rng.uniform(-1, 1, (4, 10_000)) * np.array([[90], [180], [90], [180]])
    columns = dict(zip("abcd", points, strict=True))
    found = haversine_km(*(field(name) for name in "abcd")).evaluate(columns, 10_000)
    lat_1, lon_1, lat_2, lon_2 = np.radians(points)
    chord = np.sin((lat_2 - lat_1) / 2) ** 2
    chord += np.cos(lat_1) * np.cos(lat_2) * np.sin((lon_2 - lon_1) / 2) ** 2
    np.testing.assert_allclose(found, 2 * 6371.0088 * np.arcsin(np.sqrt(chord)), rtol=1e-12)


def test_equal_tables_have_equal_canonical_forms() -> None:
    one, other = lookup(NAME, {"b": 1, "a": 2.0}), lookup(NAME, {"a": 2, "b": 1.0})
    assert one.canonical() == other.canonical() == '["look_up_text",["field","name"],null,"a",2.0,"b",1.0]'
    assert lookup(NAME, {"a": 2, "b": 1}, otherwise=0).canonical() != one.canonical()


def test_functions_read_as_they_were_written() -> None:
    assert str(lookup(NAME, {"a": 2}, otherwise=-1)) == "lookup(field('name'), {'a': 2.0}, otherwise=-1.0)"
    assert str(maximum(X + 1, Y) * 2) == "(maximum(field('x') + 1.0, field('y'))) * 2.0"
    assert str(abs(-X)) == "abs(-field('x'))"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (where(X, X, Y), "where(number, number, number) has no meaning"),
        (where(OK, X, NAME), "where(flag, number, text) has no meaning"),
        (coalesce(X, NAME), "coalesce(number, text) has no meaning"),
        (minimum(NAME, "a"), "minimum(text, text) has no meaning"),
        (floor(AT), "floor(time) has no meaning"),
        (lookup(X, {"a": 1}), "lookup(number, {'a': 1.0}, otherwise=None) has no meaning"),
        (iso_week(X, zone="UTC"), "iso_week(number, zone='UTC') has no meaning"),
    ],
    ids=str,
)
def test_types_that_do_not_go_together_are_named(expression: Expression, message: str) -> None:
    with pytest.raises(TypeMismatchError) as caught:
        expression.type_in(Scope(FIELDS, {}, "rows"))
    assert caught.value.problem == message


@pytest.mark.parametrize("table", [{}, {"a": math.nan}, {"a": "b"}, {"a": 1, 2: 3}, {math.inf: 1}, {True: 1}])
def test_a_table_that_is_none_is_refused_with_its_line(table: Any) -> None:
    with pytest.raises(DefinitionError, match=r"test_functions\.py:\d+: lookup.*Write at least one entry"):
        lookup(X, table)


@pytest.mark.parametrize("members", [["a", "a"], [1], []])
def test_categories_that_are_not_different_texts_are_refused(members: Any) -> None:
    with pytest.raises(DefinitionError, match=r"test_functions\.py:\d+: "):
        category(NAME, members)


@pytest.mark.parametrize(
    ("expression", "members"),
    [
        (category(NAME, ["UA", "AA"]), ("UA", "AA")),
        (category(NAME, ["b", "", "a"], unknown=7), ("b", "", "a")),
        (category(NAME, ["UA", "AA"], unknown=1), ()),
        (lookup(NAME, {"x": 1, "y": 0}), ("y", "x")),
        (lookup(NAME, {"x": 1, "y": 2}), ()),
        (lookup(NAME, {"x": 0, "y": 0}), ()),
        (lookup(X, {0: 0}), ()),
        (category(NAME, ["UA"]) + 1, ()),
        (NAME, ()),
    ],
)
def test_a_categorys_numbers_say_which_text_it_was(expression: Expression, members: tuple[str, ...]) -> None:
    assert vocabulary_of(expression) == members
