"""However many rows are evaluated at once, a row's value is its own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from feature_store import FieldType, field, local_hour
from feature_store.expressions import Expression, Scope, column_of
from hypothesis import given, settings
from hypothesis import strategies as st

FIELDS = {
    "x": FieldType.NUMBER,
    "y": FieldType.NUMBER,
    "name": FieldType.TEXT,
    "at": FieldType.TIME,
    "until": FieldType.TIME,
    "ok": FieldType.FLAG,
}
VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.NUMBER: st.sampled_from([0.0, 1.0, -2.5, 15.0, 1e308]),
    FieldType.TEXT: st.sampled_from(["", "JFK", "LGA"]),
    FieldType.TIME: st.integers(1_356_998_400_000_000, 1_388_534_400_000_000),
    FieldType.FLAG: st.booleans(),
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.one_of(st.none(), VALUES[kind]) for name, kind in FIELDS.items()}),
    max_size=6,
)

numbers: st.SearchStrategy[Expression] = st.deferred(
    lambda: st.one_of(
        st.sampled_from([field("x"), field("y"), field("ok").cast("number")]),
        st.builds(lambda left, right: left + right, numbers, numbers),
        st.builds(lambda left, right: left * right, numbers, numbers),
        st.builds(lambda left, right: left / right, numbers, numbers),
        st.builds(lambda left: -left - 1, numbers),
        st.builds(lambda time: local_hour(time, zone="America/New_York"), times),
        st.builds(lambda left, right: (left - right) / timedelta(hours=1), times, times),
        st.builds(lambda flag: flag.cast("number"), flags),
    )
)
times: st.SearchStrategy[Expression] = st.deferred(
    lambda: st.one_of(
        st.sampled_from([field("at"), field("until")]),
        st.builds(lambda time: time - timedelta(hours=7), times),
    )
)
flags: st.SearchStrategy[Expression] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(
            [field("ok"), field("name").is_in(["JFK"]), field("name") == "LGA", field("name").is_null()]
        ),
        st.builds(lambda left, right: left < right, numbers, numbers),
        st.builds(lambda left, right: left == right, numbers, numbers),
        st.builds(lambda left, right: left != right, times, times),
        st.builds(lambda left, right: left & ~right, flags, flags),
        st.builds(lambda left, right: left | right, flags, flags),
        st.builds(lambda left: left.is_null(), numbers),
    )
)


@settings(deadline=None)
@given(st.one_of(numbers, flags, times), ROWS)
def test_many_rows_give_what_each_gives_alone(expression: Expression, rows: list[dict[str, Any]]) -> None:
    kind = expression.type_in(Scope(FIELDS, {}, "rows"))
    together = expression.evaluate(columns(rows), len(rows))
    alone = [expression.evaluate(columns([row]), 1) for row in rows]
    assert (
        together.dtype
        == {FieldType.NUMBER: np.float64, FieldType.TIME: np.int64, FieldType.FLAG: np.bool_}[kind]
    )
    np.testing.assert_array_equal(together, np.concatenate([together[:0], *alone]), strict=True)
    if kind is FieldType.NUMBER:
        assert not np.isinf(together).any()


def columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: column_of(kind, [row[name] for row in rows]) for name, kind in FIELDS.items()}
