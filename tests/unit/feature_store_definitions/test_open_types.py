"""A source whose field becomes another type makes other definitions, where nothing else says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from feature_store import (
    Contract,
    Count,
    DefinitionError,
    DistinctCount,
    Entity,
    FeatureView,
    Json,
    Last,
    Mean,
    Source,
    coalesce,
    field,
    local_hour,
    lookup,
    where,
)
from feature_store.expressions import Expression, FieldType
from feature_store.expressions.openness import open_types

FIELDS = {
    "n": FieldType.NUMBER,
    "m": FieldType.NUMBER,
    "t": FieldType.TEXT,
    "s": FieldType.TEXT,
    "a": FieldType.TIME,
    "b": FieldType.TIME,
    "f": FieldType.FLAG,
}
CONDITION, VALUE = (FieldType.FLAG,), (FieldType.NUMBER, FieldType.FLAG)


@pytest.mark.parametrize(
    ("expression", "wanted", "expected"),
    [
        (field("f"), CONDITION, {}),
        (field("f"), VALUE, {"f": "flag"}),
        (field("n"), VALUE, {}),
        (field("n") * 2, VALUE, {}),
        (field("t") == "x", CONDITION, {}),
        (field("t") == field("s"), CONDITION, {"s": "text", "t": "text"}),
        (field("a") < field("b"), CONDITION, {"a": "time", "b": "time"}),
        (field("a") - field("b") < timedelta(hours=1), CONDITION, {}),
        ((field("a") - field("b")) / timedelta(hours=1), VALUE, {}),
        (field("t").is_null(), CONDITION, {"t": "text"}),
        (field("f") & ~field("n").is_null(), CONDITION, {}),
        (local_hour(field("a"), zone="UTC"), VALUE, {}),
        (lookup(field("t"), {"x": 1}), VALUE, {}),
        (where(field("f"), field("n"), 0), VALUE, {}),
        (coalesce(field("f"), field("f")), VALUE, {"f": "flag"}),
    ],
)
def test_only_what_an_expression_leaves_open_is_said(
    expression: Expression, wanted: tuple[FieldType, ...], expected: dict[str, str]
) -> None:
    assert open_types(expression, wanted, FIELDS) == expected


def view(kind: str, **declared: Any) -> Any:
    source = Source("s.v1", format=Json({"who": "text", "x": kind, "at": "time"}), event_time="at")
    body = {"source": source, "entity": Entity("who"), **declared}
    return type("Things", (FeatureView,), body)


@pytest.mark.parametrize(
    ("aggregation", "kinds"),
    [
        (Mean("x", window="1h"), ["number", "flag"]),
        (Last("x", window="1h"), ["number", "flag"]),
        (DistinctCount("x", window="1h"), ["number", "text"]),
        (Count(where=~field("x").is_null(), window="1h"), ["number", "flag", "text", "time"]),
        (Count(where=field("x") == field("x"), window="1h"), ["number", "text", "time"]),
    ],
)
def test_a_field_of_another_type_is_another_version_of_its_views_and_contracts(
    aggregation: Any, kinds: list[str]
) -> None:
    views = [view(kind, it=aggregation) for kind in kinds]
    assert len({one.view.digest for one in views}) == len(kinds)
    assert len({Contract.over("", [one.it], {}).hash for one in views}) == len(kinds)


def test_a_field_that_nothing_reads_changes_no_hash() -> None:
    digests = {view(kind, it=Count(window="1h")).view.digest for kind in ("number", "text", "flag")}
    assert len(digests) == 1


def test_a_type_that_makes_no_sense_is_refused_and_not_hashed() -> None:
    with pytest.raises(DefinitionError, match=r"test_open_types\.py:\d+: Things\.it: it aggregates a text"):
        view("text", it=Mean("x", window="1h"))
