"""Sketches against exact figures, and against the libraries that are known for them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from datasketches import hll_sketch, hll_union, tgt_hll_type
from ddsketch import LogCollapsingLowestDenseDDSketch
from feature_store.sketches import Buckets, Registers

SIZES = (1, 10, 100, 1_000, 10_000, 100_000)
TRIALS = 40


def packed(registers: Registers, entries: np.ndarray) -> np.ndarray:
    held = np.zeros((1, registers.count), np.uint8)
    np.maximum.at(held[0], entries >> 6, (entries & 63).astype(np.uint8))
    return held.view(np.int64)


def errors(precision: int, size: int) -> list[float]:
    """The relative errors of estimates of so many distinct numbers, different ones each time."""
    registers = Registers(precision)
    entries = registers.entries(np.arange(size * TRIALS, dtype=np.float64)).reshape(TRIALS, size)
    return [float(registers.estimates(packed(registers, line))[0]) / size - 1 for line in entries]


@pytest.mark.parametrize("precision", [6, 8, 12])
@pytest.mark.parametrize("size", SIZES)
def test_a_distinct_count_errs_by_its_stated_standard_error(precision: int, size: int) -> None:
    stated = 1.04 / math.sqrt(2**precision)
    found = np.array(errors(precision, size))
    # The mean of 40 trials, and their spread, each within 3.5 of its own standard errors.
    assert abs(found.mean()) < 3.5 * stated / math.sqrt(TRIALS) + 0.5 / size
    assert np.sqrt((found**2).mean()) < stated * (1 + 3.5 / math.sqrt(2 * TRIALS)) + 0.5 / size


@pytest.mark.parametrize("size", [1_000, 20_000])
def test_it_errs_no_more_than_a_well_known_sketch_of_the_same_size(size: int) -> None:
    theirs = []
    for trial in range(TRIALS):
        sketch = hll_sketch(8, tgt_hll_type.HLL_8)
        for number in range(trial * size, (trial + 1) * size):
            sketch.update(number)
        # A merged sketch has lost the order of its events, which ours never knows.
        merged = hll_union(8)
        merged.update(sketch)
        theirs.append(merged.get_estimate() / size - 1)
    ours = np.array(errors(8, size))
    assert np.sqrt((ours**2).mean()) < 1.5 * np.sqrt((np.array(theirs) ** 2).mean())


def test_texts_are_told_apart_and_null_is_none() -> None:
    registers = Registers(8)
    texts = np.array(["a", "b", "a", None, "", "é"], np.object_)
    entries = registers.entries(texts)
    assert entries[0] == entries[2] != entries[1]
    assert entries[3] == 0
    assert (entries[[0, 1, 4, 5]] > 0).all()
    assert registers.estimates(packed(registers, entries)).tolist() == [4.0]


def test_hashes_are_those_of_the_published_function() -> None:
    # XXH64 with seed 0, as its specification's sanity checks have it: of no bytes, and of "a".
    registers = Registers(8)
    for text, digest in (("", 0xEF46DB3751D8E999), ("a", 0xD24EC4F1A98C6E5B)):
        rank = 57 - (digest & (2**56 - 1)).bit_length()
        assert registers.entries(np.array([text], np.object_)).tolist() == [(digest >> 56) << 6 | rank]


def test_both_zeros_are_one_number_and_nan_is_none() -> None:
    entries = Registers(8).entries(np.array([0.0, -0.0, math.nan]))
    assert entries[0] == entries[1] > 0
    assert entries[2] == 0


def test_no_registers_touched_estimate_nothing_and_all_full_ones_something() -> None:
    registers = Registers(4)
    words = np.array([[0] * 16, [61] * 16], np.uint8).view(np.int64)
    with np.errstate(divide="ignore"):
        empty, full = registers.estimates(words).tolist()
    assert empty == 0.0
    assert full > 2.0**60


@pytest.mark.parametrize("accuracy", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 0.9, 0.99, 1.0])
def test_a_quantile_lies_within_its_accuracy_of_the_exact_one(accuracy: float, q: float) -> None:
    buckets, random = Buckets(0.1, 10_000.0, accuracy), np.random.default_rng(7)
    for n in (1, 2, 7, 500):
        numbers = np.clip(random.lognormal(2, 1.5, n), 0.1, 10_000.0)
        counts = np.bincount(buckets.entries(numbers) - 1, minlength=buckets.count)[None, :]
        exact = float(np.quantile(numbers, q, method="lower"))
        assert abs(float(buckets.quantiles(counts, q)[0]) - exact) <= accuracy * exact * (1 + 1e-9)
        theirs = LogCollapsingLowestDenseDDSketch(accuracy)
        for number in numbers.tolist():
            theirs.add(number)
        assert abs(theirs.get_quantile_value(q) - exact) <= accuracy * exact * (1 + 1e-9)


def test_what_lies_outside_is_counted_at_the_ends() -> None:
    buckets = Buckets(1.0, 100.0, 0.1)
    entries = buckets.entries(np.array([-5.0, 0.0, 1.0, 1.0001, 100.0, 1e9, math.nan])).tolist()
    assert entries[:3] == [1, 1, 1]
    assert entries[3] == 2
    assert entries[4] < entries[5] + 1 == buckets.count + 1
    assert entries[6] == 0
    counts = np.zeros((3, buckets.count), np.int64)
    counts[0, 0] = counts[1, -1] = 1
    assert buckets.quantiles(counts, 0.5)[:2].tolist() == [1.0, 100.0]
    assert math.isnan(buckets.quantiles(counts, 0.5)[2])
