"""W3C trace context."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_kit.trace import TraceContext, generate, parse, proceed

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ids = st.binary(min_size=16, max_size=16).filter(any).map(bytes.hex)
spans = st.binary(min_size=8, max_size=8).filter(any).map(bytes.hex)


@given(st.builds(TraceContext, ids, spans, st.booleans()))
def test_every_context_survives_the_header(context: TraceContext) -> None:
    assert parse(str(context)) == context


@given(st.text())
def test_any_text_is_a_context_or_none(text: str) -> None:
    context = parse(text)
    assert context is None or parse(str(context)) == context


@pytest.mark.parametrize(
    "invalid",
    [
        None,
        "",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        PARENT + "-extra",
        PARENT + "\n",
        PARENT[:-1],
    ],
)
def test_an_invalid_header_starts_a_new_trace(invalid: str | None) -> None:
    assert parse(invalid) is None
    context = proceed(invalid, lambda size: b"\x07" * size)
    assert (context.trace_id, context.span_id) == ("07" * 16, "07" * 8)


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-will-be-like"
    assert parse(later) == parse(PARENT)


def test_a_trace_is_continued_with_a_span_of_our_own() -> None:
    parent = parse(PARENT)
    context = proceed(PARENT, lambda size: b"\x07" * size)
    assert parent is not None
    assert context == TraceContext(parent.trace_id, "07" * 8, sampled=True)


def test_what_the_caller_does_not_record_is_not_recorded_here() -> None:
    assert not proceed(PARENT[:-2] + "00").sampled


def test_an_id_is_never_all_zeros() -> None:
    chance = itertools.chain([b"\x00" * 16], itertools.repeat(b"\x01" * 16))
    assert int(generate(lambda size: next(chance)[:size]).trace_id, 16) > 0
