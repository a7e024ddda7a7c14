from __future__ import annotations

import numpy as np
from feature_store.aggregations import NO_NUMBER
from feature_store.offline.ranges import GreatestOf, RegistersOf, Stretches
from feature_store.sketches import Registers
from hypothesis import given
from hypothesis import strategies as st


@st.composite
def asked(draw: st.DrawFn) -> tuple[int, Stretches]:
    """A number of events, and stretches of them that five requests ask for."""
    n = draw(st.integers(1, 300))
    bounds = st.tuples(st.integers(0, n), st.integers(0, n)).filter(lambda pair: pair[0] < pair[1])
    wanted = sorted(draw(st.lists(st.tuples(st.integers(0, 4), bounds), max_size=12)))
    columns = [(request, first, stop) for request, (first, stop) in wanted]
    return n, Stretches(*np.array(columns, np.int64).reshape(-1, 3).T)


@given(asked(), st.integers(0, 2**32 - 1))
def test_the_greatest_of_stretches_is_that_of_their_members(wanted: tuple[int, Stretches], seed: int) -> None:
    n, over = wanted
    values = np.random.default_rng(seed).integers(-9, 9, n)
    greatest = np.full(5, NO_NUMBER)
    GreatestOf(values).into(greatest, over)
    for request in range(5):
        members = [
            value
            for owner, first, stop in zip(over.request, over.first, over.stop, strict=True)
            if owner == request
            for value in values[first:stop].tolist()
        ]
        assert greatest[request] == max(members, default=NO_NUMBER)


@given(asked(), st.integers(0, 2**32 - 1))
def test_registers_of_stretches_are_those_of_their_members(wanted: tuple[int, Stretches], seed: int) -> None:
    n, over = wanted
    registers = Registers(4)
    entries = registers.entries(np.random.default_rng(seed).normal(size=n))
    entries[::7] = 0
    words = np.zeros((5, registers.words), np.int64)
    RegistersOf(entries, registers).into(words, over)
    for request in range(5):
        held = [0] * registers.count
        for owner, first, stop in zip(over.request, over.first, over.stop, strict=True):
            for entry in entries[first:stop].tolist() if owner == request else []:
                held[entry >> 6] = max(held[entry >> 6], entry & 63)
        assert words[request].view(np.uint8).tolist() == held


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted), min_size=1, max_size=5),
    st.data(),
)
def test_stretches_lie_between_holes(bounds: list[list[int]], data: st.DataObject) -> None:
    start, end = np.array(bounds, np.int64).T
    requests = np.arange(len(bounds)) * 3
    holes = [
        (request, hole)
        for request, (first, stop) in zip(requests.tolist(), bounds, strict=True)
        for hole in data.draw(st.sets(st.integers(first, stop - 1) if first < stop else st.nothing()))
    ]
    found = Stretches.between(requests, (start, end), tuple(np.array(holes, np.int64).reshape(-1, 2).T))
    assert (found.stop > found.first).all()
    spelled_out = [
        (request, place)
        for request, first, stop in zip(found.request, found.first, found.stop, strict=True)
        for place in range(first, stop)
    ]
    assert spelled_out == [
        (request, place)
        for request, (first, stop) in zip(requests.tolist(), bounds, strict=True)
        for place in range(first, stop)
        if (request, place) not in holes
    ]
