from __future__ import annotations

import numpy as np
from feature_store.online.cache import RowCache
from feature_store.rows import RowLayout
from hypothesis import given
from hypothesis import strategies as st

layout = RowLayout(bytes(8), np.zeros(2, np.int64), partitions=1)


def rows(*values: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    matrix = np.tile(layout.empty, (len(values), 1))
    matrix[:, -1] = values
    return matrix


def put(cache: RowCache, **values: int) -> None:
    cache.put(list(values), rows(*values.values()), [bytes([value]) for value in values.values()])


def test_what_was_put_is_taken_with_its_revision_and_the_rest_is_missing() -> None:
    cache = RowCache(layout, 10)
    put(cache, a=1, b=2)
    found, expected, missing = cache.take(["b", "x", "a"])
    assert found[:, -1].tolist() == [2, 0, 1]
    assert expected.tolist() == [b"\x02", None, b"\x01"]
    assert missing.tolist() == [1]
    assert found[1].tolist() == layout.empty.tolist()


def test_what_is_taken_is_a_copy() -> None:
    cache = RowCache(layout, 10)
    put(cache, a=1)
    cache.take(["a"])[0][:] = 9
    assert cache.take(["a"])[0][0, -1] == 1


def test_the_least_recently_used_is_forgotten_first() -> None:
    cache = RowCache(layout, 4)
    put(cache, a=1, b=2, c=3, d=4)
    cache.take(["a", "c", "d"])
    put(cache, e=5)
    assert cache.take(["a", "b", "c", "d", "e"])[2].tolist() == [1]


def test_of_more_than_fit_the_last_are_kept() -> None:
    cache = RowCache(layout, 2)
    put(cache, a=1, b=2, c=3)
    assert cache.take(["a", "b", "c"])[2].tolist() == [0]
    assert len(cache) == 2


def test_widening_keeps_the_rows() -> None:
    cache = RowCache(layout, 4)
    put(cache, a=1)
    cache.widen(3)
    assert cache.take(["a"])[0].tolist() == layout.widen(rows(1), 3).tolist()


@given(
    st.integers(1, 6),
    st.lists(st.dictionaries(st.sampled_from("abcdefghij"), st.integers(1, 99), max_size=8), max_size=12),
)
def test_it_never_gives_anything_but_what_was_put_last_and_never_grows_beyond_its_bound(
    capacity: int, puts: list[dict[str, int]]
) -> None:
    cache, truth = RowCache(layout, capacity), {}
    for values in puts:
        put(cache, **values)
        truth |= values
        found, expected, missing = cache.take(list("abcdefghij"))
        here = [index for index in range(10) if index not in missing]
        assert {"abcdefghij"[index]: found[index, -1] for index in here}.items() <= truth.items()
        assert [expected[index] for index in here] == [bytes([found[index, -1]]) for index in here]
        assert len(here) == len(cache) <= capacity
