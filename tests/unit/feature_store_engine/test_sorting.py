from __future__ import annotations

import numpy as np
from feature_store.offline.sorting import CompositeKeys, Greatest
from hypothesis import given
from hypothesis import strategies as st

small = st.integers(-5, 5)
# So far apart that distances do not fit beside a group: ranks must be taken.
huge = st.sampled_from((-(2**62), -(2**61), -1, 0, 1, 2**61, 2**62))
pairs = st.one_of(
    st.tuples(st.lists(st.tuples(st.integers(0, 4), small)), st.integers(-1, 4), small),
    st.tuples(st.lists(st.tuples(st.integers(0, 4), huge)), st.integers(-1, 4), huge),
)


@given(pairs)
def test_a_key_is_found_where_its_group_and_value_belong(
    drawn: tuple[list[tuple[int, int]], int, int],
) -> None:
    listed, group, value = drawn
    listed = sorted(listed)
    groups, values = (
        np.array(part, np.int64) for part in (zip(*listed, strict=True) if listed else ((), ()))
    )
    composite = CompositeKeys(values, 5)
    keys = composite.of(groups, values)
    assert keys.tolist() == sorted(keys.tolist())
    assert composite.values(keys).tolist() == values.tolist()
    query = np.array([group], np.int64), np.array([value], np.int64)
    place = keys.searchsorted(composite.of(*query))[0]
    assert place == sum(pair < (group, value) for pair in listed)
    assert keys.searchsorted(query[0] * composite.base)[0] == sum(number < group for number, _ in listed)


@given(st.lists(st.tuples(st.integers(0, 3), st.one_of(small, huge)), min_size=1))
def test_the_greatest_value_of_each_list_up_to_each_place(listed: list[tuple[int, int]]) -> None:
    listed.sort(key=lambda pair: pair[0])
    groups, values = (np.array(part, np.int64) for part in zip(*listed, strict=True))
    greatest = Greatest(groups, values, 4)
    places = np.arange(len(listed) + 1)
    for group in range(4):
        start = int(groups.searchsorted(group))
        stop = int(groups.searchsorted(group, side="right"))
        asked = places[start : stop + 1]
        found = greatest.before(np.full(len(asked), start), asked, none=-(2**62) - 1)
        expected = [max(values[start:place].tolist(), default=-(2**62) - 1) for place in asked.tolist()]
        assert found.tolist() == expected
