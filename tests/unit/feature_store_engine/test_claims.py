"""Repeats found in a finished log are those that claims found while it was written."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
from feature_store import EventBatch, Json, Source
from feature_store.online import MemoryClaims
from feature_store.online.claims import GENERATION_OFFSETS, claimed_repeats, repeats
from hypothesis import given, settings
from hypothesis import strategies as st

source = Source("t", format=Json({"x": "number"}), event_time=None)


def batch(records: list[tuple[str, int, int]]) -> EventBatch:
    ids, partitions, offsets = zip(*records, strict=True) if records else ((), (), ())
    zeros = np.zeros(len(records), np.int64)
    names = np.array(ids, np.object_)
    return EventBatch(
        source,
        {"x": zeros.astype(np.float64)},
        zeros,
        zeros,
        np.array(partitions, np.int32),
        np.array(offsets, np.int64),
        names,
        names,
    )


# Offsets far apart, so that a log of a few records spans generations.
gaps = st.sampled_from(
    (1, 2, GENERATION_OFFSETS // 3, GENERATION_OFFSETS - 1, GENERATION_OFFSETS, 3 * GENERATION_OFFSETS)
)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 1), gaps), max_size=30),
    st.lists(st.integers(0, 30), max_size=5),
    st.randoms(use_true_random=False),
)
async def test_the_finished_log_tells_what_the_claims_told(
    drawn: list[tuple[str, int, int]], cuts: list[int], random: object
) -> None:
    ends: dict[int, int] = defaultdict(int)
    records = []
    for record_id, partition, gap in drawn:
        ends[partition] += gap
        records.append((record_id, partition, ends[partition]))
    claims, told = MemoryClaims(), []
    bounds = [0, *sorted(min(cut, len(records)) for cut in cuts), len(records)]
    for start, stop in pairwise(bounds):
        part = batch(records[start:stop])
        told += (await claimed_repeats(claims, part)).tolist()
        assert (await claimed_repeats(claims, part)).tolist() == told[start:stop]
    order = random.sample(range(len(records)), len(records))  # type: ignore[attr-defined] # hypothesis's own
    shuffled = batch([records[index] for index in order])
    found = repeats(shuffled.ids, shuffled.partition, shuffled.offset)
    assert found.tolist() == [told[index] for index in order]


def test_a_repeat_is_recognised_within_a_generation_s_length_and_forgotten_after_two() -> None:
    def found(distance: int) -> list[bool]:
        log = batch([("a", 0, GENERATION_OFFSETS - 1), ("a", 0, GENERATION_OFFSETS - 1 + distance)])
        return repeats(log.ids, log.partition, log.offset).tolist()

    assert found(GENERATION_OFFSETS) == [False, True]
    assert found(2 * GENERATION_OFFSETS) == [False, False]


def test_a_record_that_a_log_holds_twice_counts_once() -> None:
    log = batch([("a", 0, 5), ("a", 0, 5)])
    assert repeats(log.ids, log.partition, log.offset).tolist() == [False, True]
