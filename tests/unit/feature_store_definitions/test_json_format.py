"""JSON payloads become columns; what cannot be read is refused by name and harms no other record."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from feature_store import DefinitionError, Json, Reason
from feature_store.expressions import NULL_TIME_US
from feature_store.rejects import Rejects
from hypothesis import given, settings
from hypothesis import strategies as st

WEATHER = Json({"origin": "text", "observed_at": "time", "temperature_f": "number", "is_final": "flag"})


def decode(*values: bytes) -> tuple[dict[str, list[Any]], list[tuple[int, str, str]]]:
    rejects = Rejects()
    columns = WEATHER.decode(values, rejects)
    refused = [(reject.index, reject.reason, reject.detail) for reject in rejects.in_order()]
    return {name: column.tolist() for name, column in columns.items()}, refused


def test_values_of_every_type_become_columns() -> None:
    at = b'"observed_at": "2013-01-01T00:51:00-05:00"'
    columns, refused = decode(b'{"origin": "JFK", ' + at + b', "temperature_f": 39, "is_final": true}')
    assert refused == []
    assert columns == {
        "origin": ["JFK"],
        "observed_at": [1_357_019_460_000_000],
        "temperature_f": [39.0],
        "is_final": [1],
    }


@pytest.mark.parametrize(
    "payload",
    [b"{}", b'{"origin":null, "observed_at":null, "temperature_f":null, "is_final":null}'],
)
def test_what_is_absent_or_null_is_null(payload: bytes) -> None:
    columns, refused = decode(payload)
    assert refused == []
    assert np.isnan(columns.pop("temperature_f")).all()
    assert columns == {"origin": [None], "observed_at": [NULL_TIME_US], "is_final": [-1]}


def test_fields_that_are_not_declared_are_passed_over() -> None:
    columns, refused = decode(b'{"origin": "JFK", "later": {"deep": [1, 2]}}')
    assert (columns["origin"], refused) == (["JFK"], [])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b'{"origin": "JFK"} trailing',
        b"\xff\xfe{}",
        b'{"origin": "\xc3\x28"}',
        b"[1]",
        b'"JFK"',
        b"null",
        b"[" * 100_000,
        b'{"temperature_f": 1' + b"0" * 5_000 + b"}",
    ],
    ids=lambda payload: payload[:20].decode("latin-1"),
)
def test_bytes_that_are_no_json_object_are_refused_and_their_neighbours_kept(payload: bytes) -> None:
    good = b'{"origin": "JFK"}'
    columns, refused = decode(good, payload, good)
    assert [columns["origin"][0], columns["origin"][2]] == ["JFK", "JFK"]
    assert [(index, reason) for index, reason, _ in refused] == [(1, Reason.MALFORMED_PAYLOAD)]


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [
        (b'{"origin": 5}', Reason.WRONG_TYPE, "origin is 5; it must be a text."),
        (b'{"temperature_f": "39"}', Reason.WRONG_TYPE, 'temperature_f is "39"; it must be a number.'),
        (b'{"temperature_f": true}', Reason.WRONG_TYPE, "temperature_f is true; it must be a number."),
        (b'{"temperature_f": NaN}', Reason.NOT_FINITE, "temperature_f is nan; a number must be finite."),
        (
            b'{"temperature_f": -Infinity}',
            Reason.NOT_FINITE,
            "temperature_f is -inf; a number must be finite.",
        ),
        (b'{"temperature_f": 1e999}', Reason.NOT_FINITE, "temperature_f is inf; a number must be finite."),
        (
            b'{"temperature_f": 1' + b"0" * 400 + b"}",
            Reason.NOT_FINITE,
            "temperature_f is inf; a number must be finite.",
        ),
        (b'{"is_final": 1}', Reason.WRONG_TYPE, "is_final is 1; it must be true or false."),
        (
            b'{"observed_at": 1357019460}',
            Reason.WRONG_TYPE,
            'observed_at is 1357019460; it must be a time such as "2013-01-01T05:00:00Z", with its offset.',
        ),
        (
            b'{"observed_at": "2013-01-01T05:00:00"}',
            Reason.WRONG_TYPE,
            (
                'observed_at is "2013-01-01T05:00:00"; '
                'it must be a time such as "2013-01-01T05:00:00Z", with its offset.'
            ),
        ),
        (
            b'{"observed_at": "9999-12-31T23:59:59-00:01"}',
            Reason.TIME_OUT_OF_RANGE,
            'observed_at is "9999-12-31T23:59:59-00:01", which is no time in UTC.',
        ),
        (
            b'{"origin": "\\ud800"}',
            Reason.WRONG_TYPE,
            "origin holds half a surrogate pair; it must be a Unicode text.",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_value_of_another_type_is_refused_by_name(payload: bytes, reason: str, detail: str) -> None:
    assert decode(payload)[1] == [(0, reason, detail)]


def test_a_long_wrong_value_is_shown_short() -> None:
    _, [(_, _, detail)] = decode(json.dumps({"temperature_f": ["x" * 10_000]}).encode())
    assert len(detail) < 120


@settings(deadline=None)
@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    st.datetimes(timezones=st.just(UTC)),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
def test_what_is_sent_is_what_is_read(origin: str, at: datetime, number: float, final: bool) -> None:  # noqa: FBT001
    document = {"origin": origin, "observed_at": at.isoformat(), "temperature_f": number, "is_final": final}
    columns, refused = decode(json.dumps(document).encode())
    assert refused == []
    at_us = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert columns == {
        "origin": [origin],
        "observed_at": [at_us],
        "temperature_f": [number],
        "is_final": [int(final)],
    }


@settings(deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=30), st.from_regex(rb'\{"(origin|observed_at)": .{0,20}\}'))))
def test_any_bytes_are_read_or_refused_and_never_raise(values: list[bytes]) -> None:
    columns, _ = decode(*values)
    assert all(len(column) == len(values) for column in columns.values())


@pytest.mark.parametrize("kind", ["duration", "float", "", "Number"])
def test_an_unknown_type_is_refused(kind: str) -> None:
    with pytest.raises(
        DefinitionError, match=r"test_json_format\.py:\d+: .*there is no type.*number, text, time, flag"
    ):
        Json({"x": kind})
