"""The schema made of a source: the door's judgement of rows, and what is wrong with whole columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from data_quality.chunks import Chunk
from data_quality.findings import Verdict
from data_quality.schemas import CONFORMS, SourceSchema
from feature_store import Check, field
from feature_store.rejects import Rejects
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.unit.data_quality.conftest import Bench

CHECKS = [
    Check.required("id", "ok", "value"),
    Check.range("value", -1, 10.5),
    Check.one_of("station", ["s1", "s2", ""]),
    Check.matches("station", "s?[0-9]*"),
    Check.that((field("value") < 5) | field("ok"), "LARGE"),
]
ROWS = st.fixed_dictionaries(
    {
        "id": st.sampled_from([None, "", "a", "\u2603"]),
        "station": st.sampled_from([None, "", "s1", "s2", "s3", "x"]),
        "value": st.sampled_from([np.nan, -1.0, -1.0000001, 0.0, 4.999, 5.0, 10.5, 11.0]),
        "ok": st.sampled_from([-1, 0, 1]),
    }
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROWS, min_size=1, max_size=6))
def test_the_schema_breaks_for_the_rows_that_the_door_refuses(
    bench: Bench, rows: list[dict[str, Any]]
) -> None:
    bench.rows = [(float(minute), row) for minute, row in enumerate(rows)]
    chunk = Chunk.of(bench.source, bench.batch.to_arrow())
    for check in CHECKS:
        rejects = Rejects()
        check.refuse(dict(chunk.events.columns), bench.source.fields, rejects)
        broken = SourceSchema(bench.source, [("asked", check)]).broken(chunk)
        assert sorted(broken.rows.get("asked", ())) == [one.index for one in rejects.in_order()], check
        assert broken.columns == ()


def test_a_column_that_is_not_there_or_of_another_type_fails_the_day_by_its_name(bench: Bench) -> None:
    rows = bench.batch.to_arrow()
    lame = rows.drop_columns(["ok"]).set_column(
        rows.schema.get_field_index("value"), "value", pa.array(["text"] * len(rows))
    )
    broken = SourceSchema(bench.source, []).broken(Chunk.of(bench.source, lame))
    assert broken.columns[0] == "column value holds String, not Float64"
    assert "the table has no column ok" in broken.columns
    assert CONFORMS not in broken.rows


def test_a_new_column_of_the_table_is_nobodys_concern(bench: Bench) -> None:
    rows = bench.batch.to_arrow().append_column("later", pa.nulls(24))
    assert SourceSchema(bench.source, []).broken(Chunk.of(bench.source, rows)).columns == ()


def test_a_day_that_conforms_says_so_with_all_its_rows(bench: Bench) -> None:
    found = bench.finding("conforms")
    assert (found.verdict, found.value, found.rows) == (Verdict.PASSED, 1.0, 24)
