"""What each operator means, nulls included; what an expression reads, is and refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from feature_store import DefinitionError, FieldType, day_of_week, field, local_hour, month, request
from feature_store.errors import TypeMismatchError, UnknownNameError
from feature_store.expressions import NULL_TIME_US, Expression, Scope, as_expression

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOUR_US = 3_600_000_000
COLUMNS: dict[str, NDArray[Any]] = {
    "x": np.array([1.0, np.nan, 20.0]),
    "y": np.array([1.0, 2.0, np.nan]),
    "name": np.array(["JFK", None, ""], dtype=np.object_),
    "at": np.array([0, NULL_TIME_US, 5 * HOUR_US]),
    "until": np.array([HOUR_US, HOUR_US, NULL_TIME_US]),
    "ok": np.array([1, -1, 0], dtype=np.int8),
}
SCOPE = Scope(
    {
        "x": FieldType.NUMBER,
        "y": FieldType.NUMBER,
        "name": FieldType.TEXT,
        "at": FieldType.TIME,
        "until": FieldType.TIME,
        "ok": FieldType.FLAG,
    },
    {"asked": FieldType.TIME},
    "source clicks",
)
NULL = None


def evaluated(expression: Expression) -> list[Any]:
    column = expression.evaluate(COLUMNS, 3)
    assert column.shape == (3,)
    if column.dtype.kind == "f":
        return [NULL if np.isnan(value) else value for value in column.tolist()]
    if column.dtype.kind == "i":
        return [NULL if value == NULL_TIME_US else value for value in column.tolist()]
    return list(column.tolist())


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (field("x") + 1, [2.0, NULL, 21.0]),
        (1 + field("x"), [2.0, NULL, 21.0]),
        (1 - field("x"), [0.0, NULL, -19.0]),
        (field("x") * field("y"), [1.0, NULL, NULL]),
        (2 * field("x"), [2.0, NULL, 40.0]),
        (10 / field("x"), [10.0, NULL, 0.5]),
        (-field("x"), [-1.0, NULL, -20.0]),
        (field("x") >= 1, [True, False, True]),
        (field("x") > 1, [False, False, True]),
        (field("x") <= field("y"), [True, False, False]),
        (field("x") < field("y"), [False, False, False]),
        (field("x") == 1, [True, False, False]),
        (field("x") != 1, [False, False, True]),
        (field("name") == "JFK", [True, False, False]),
        (field("name") != "JFK", [False, False, True]),
        (field("name") == field("name"), [True, False, True]),
        (field("name").is_in(["JFK", "LGA"]), [True, False, False]),
        (field("x").is_in([1, 3]), [True, False, False]),
        (field("x").is_null(), [False, True, False]),
        (field("name").is_null(), [False, True, False]),
        (field("at").is_null(), [False, True, False]),
        (field("ok").is_null(), [False, True, False]),
        (field("ok") | (field("x") == 20), [True, False, True]),
        (field("ok") & (field("x") == 1), [True, False, False]),
        (field("ok").cast("number"), [1.0, NULL, 0.0]),
        ((field("x") >= 15).cast("number"), [0.0, 0.0, 1.0]),
        ((field("x") - 1).cast("flag"), [False, False, True]),
        (field("at") + timedelta(hours=1), [HOUR_US, NULL, 6 * HOUR_US]),
        (timedelta(hours=1) + field("at"), [HOUR_US, NULL, 6 * HOUR_US]),
        (field("at") - timedelta(hours=1), [-HOUR_US, NULL, 4 * HOUR_US]),
        ((field("until") - field("at")) / timedelta(minutes=30), [2.0, NULL, NULL]),
        (field("until") - field("at") > timedelta(minutes=30), [True, False, False]),
        (field("at") < datetime(1970, 1, 1, 1, tzinfo=UTC), [True, False, False]),
        (local_hour(field("at"), zone="America/New_York"), [19.0, NULL, 0.0]),
        (day_of_week(field("at"), zone="UTC"), [3.0, NULL, 3.0]),
        (month(field("at"), zone="America/New_York"), [12.0, NULL, 1.0]),
    ],
    ids=str,
)
def test_an_operator_means_what_it_says(expression: Expression, expected: list[Any]) -> None:
    assert evaluated(expression) == expected
    expression.type_in(SCOPE)


def test_a_comparison_with_null_is_false_so_its_negation_is_true() -> None:
    assert evaluated(~(field("x") >= 15)) == [True, True, False]
    assert evaluated(~field("ok")) == [False, True, True]


def test_division_by_zero_gives_null_and_not_infinity() -> None:
    assert evaluated(field("x") / 0) == [NULL, NULL, NULL]
    assert evaluated((field("x") / 0) > 5) == [False, False, False]
    assert evaluated((field("at") - field("at")) / timedelta(0)) == [NULL, NULL, NULL]


def test_a_number_too_large_for_a_float_is_null() -> None:
    columns = {"x": np.array([1e308, 1.0])}
    np.testing.assert_array_equal((field("x") * 10).evaluate(columns, 2), [np.nan, 10.0])


def test_a_constant_fills_the_column() -> None:
    assert as_expression(2.5).evaluate({}, 3).tolist() == [2.5, 2.5, 2.5]
    assert as_expression("a").evaluate({}, 2).tolist() == ["a", "a"]
    assert as_expression(timedelta(seconds=1)).evaluate({}, 1).tolist() == [1_000_000]


@pytest.mark.parametrize(
    "expression",
    [
        field("x") + 1,
        field("x") / field("y"),
        field("name") == "JFK",
        field("name").is_in(["JFK"]),
        field("at") - timedelta(hours=1),
        local_hour(field("at"), zone="UTC"),
        ~field("ok"),
        field("ok").cast("number"),
        field("name").is_null(),
    ],
    ids=str,
)
def test_no_events_give_an_empty_column(expression: Expression) -> None:
    empty = {name: column[:0] for name, column in COLUMNS.items()}
    assert len(expression.evaluate(empty, 0)) == 0


def test_evaluation_leaves_its_columns_alone() -> None:
    before = {name: column.copy() for name, column in COLUMNS.items()}
    evaluated((field("x") / 0 > 1) | field("ok") | (field("name") != "a") | (field("at") < field("until")))
    for name, column in COLUMNS.items():
        np.testing.assert_array_equal(column, before[name])


def test_it_knows_what_it_reads() -> None:
    expression = (field("x") > field("y")) & (request("asked").is_null() | field("ok"))
    assert expression.fields() == {"x", "y", "ok"}
    assert expression.requests() == {"asked"}


def test_the_canonical_form_says_everything_and_nothing_else() -> None:
    expression = (field("end") == "CANCELLED") | (field("delay") >= 15)
    assert expression.canonical() == (
        '["or",["equal",["field","end"],["text","CANCELLED"]],'
        '["greater_equal",["field","delay"],["number",15.0]]]'
    )
    times = request("at") - timedelta(hours=1)
    assert times.canonical() == '["subtract",["request","at"],["duration",3600000000]]'


def test_the_canonical_form_does_not_depend_on_how_it_was_written() -> None:
    assert (field("x") > 1).canonical() == (field("x") > 1.0).canonical()
    assert field("x").is_in([3, 1, 1]).canonical() == field("x").is_in((1.0, 3.0)).canonical()
    shifted = datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=1)))
    assert (field("at") > shifted).canonical() == (
        field("at") > datetime(1970, 1, 1, 1, tzinfo=UTC)
    ).canonical()


def test_a_name_that_looks_like_another_expression_is_not_that_expression() -> None:
    assert field('x"]').canonical() != field("x").canonical()
    assert field("x").canonical() != request("x").canonical()
    assert (field("x") == "1").canonical() != (field("x") == 1).canonical()


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (field("name") >= 15, "text >= number has no meaning"),
        (field("x") & field("ok"), "number & flag has no meaning"),
        (~field("x"), "~number has no meaning"),
        (field("at") + field("until"), "time + time has no meaning"),
        (field("at") * 2, "time * number has no meaning"),
        (field("ok") == field("ok"), "flag == flag has no meaning"),
        (field("x").is_in(["JFK"]), "number.is_in(['JFK']) has no meaning"),
        (field("name").cast("number"), 'text.cast("number") has no meaning'),
        (local_hour(field("x"), zone="UTC"), "local_hour(number, zone='UTC') has no meaning"),
    ],
    ids=str,
)
def test_types_that_do_not_go_together_are_named(expression: Expression, message: str) -> None:
    with pytest.raises(TypeMismatchError) as caught:
        expression.type_in(SCOPE)
    assert caught.value.problem == message


def test_an_unknown_name_is_named_with_the_nearest_known() -> None:
    with pytest.raises(UnknownNameError) as caught:
        (field("untill") > field("at")).type_in(SCOPE)
    assert str(caught.value) == "field('untill') is not in source clicks. Did you mean 'until'?"
    with pytest.raises(UnknownNameError, match=r"request.*Known: asked"):
        request("zzz").type_in(SCOPE)


def test_it_reads_as_it_was_written() -> None:
    expression = (field("end") != "ARRIVED") | ~(field("x") + 1).is_null() & field("y").is_in([1])
    assert str(expression) == (
        "(field('end') != 'ARRIVED') | (~(field('x') + 1.0).is_null() & field('y').is_in([1.0]))"
    )


def test_and_or_not_are_refused_with_what_to_write() -> None:
    with pytest.raises(DefinitionError, match=r"no truth value.*Write & \| ~ for and, or, not"):
        bool((field("x") > 1) and (field("y") > 1))


@pytest.mark.parametrize("value", [None, True, float("nan"), float("inf"), datetime(2013, 1, 1), [1]])  # noqa: DTZ001
def test_a_value_no_expression_can_hold_is_refused(value: Any) -> None:
    with pytest.raises(DefinitionError, match=r"test_expressions\.py:\d+: .*cannot stand in an expression"):
        field("x") + value


@pytest.mark.parametrize("members", [[], [1, "a"], [None], [float("nan")]])
def test_a_set_that_is_no_set_of_texts_or_numbers_is_refused(members: list[Any]) -> None:
    with pytest.raises(DefinitionError, match="not all texts or all finite numbers"):
        field("x").is_in(members)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "America"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(DefinitionError, match=r"no such time zone.*IANA name"):
        local_hour(field("at"), zone=zone)
