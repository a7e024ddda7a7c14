"""Memory by the minute, and whether it levelled off."""

import os

import numpy as np
import pytest

from bench.memory_watch import Sample, by_minute, trend_of, watching

EVERY_S = 5.0


def samples(anonymous_mb: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[Sample]:
    return [
        Sample(at_s=EVERY_S * number, rss_mb=held + 100, anonymous_mb=float(held), cpu_s=number * 2.0)
        for number, held in enumerate(anonymous_mb)
    ]


MINUTES = np.arange(121) * EVERY_S / 60
NOISE = np.random.default_rng(0).normal(0, 0.05, 121)


def test_what_grows_at_first_and_stands_still_afterwards_levelled_off() -> None:
    warmed = samples(200 + 15 * (1 - np.exp(-MINUTES)) + NOISE)
    trend = trend_of(warmed, since_s=300)
    assert trend.says(tolerated_mb=6) == "levelled off"
    minutes = by_minute(warmed)
    assert minutes[1].grown_mb > 3
    assert abs(minutes[-1].grown_mb) < 0.2


def test_what_grows_by_as_much_each_minute_is_still_growing() -> None:
    trend = trend_of(samples(200 + 1.5 * MINUTES + NOISE), since_s=300)
    assert trend.low < 90 < trend.high
    assert trend.says(tolerated_mb=6) == "still growing"


def test_noise_larger_than_the_growth_is_said_to_say_nothing() -> None:
    noisy = 200 + np.random.default_rng(1).normal(0, 3, 121)
    assert trend_of(samples(noisy), since_s=300).says(tolerated_mb=6).startswith("not told apart")


def test_one_jump_in_the_second_half_is_no_trend() -> None:
    jumped = 200 + NOISE + (MINUTES > 9.5) * 20
    assert trend_of(samples(jumped), since_s=300).says(tolerated_mb=6) == "levelled off"


def test_a_minute_is_the_median_of_its_samples_and_the_end_counts_to_the_last() -> None:
    held = np.concatenate([np.full(12, 10.0), np.full(12, 13.0), [99.0]])
    minutes = by_minute(samples(held))
    assert [(one.number, one.anonymous_mb, one.rss_mb, one.grown_mb) for one in minutes] == [
        (1, 10.0, 110.0, 0.0),
        (2, 13.0, 113.0, 3.0),
    ]
    assert minutes[0].cpu_share == pytest.approx(2 / EVERY_S)


def test_two_samples_are_no_trend() -> None:
    with pytest.raises(ValueError, match="2 samples after 5 s"):
        trend_of(samples(np.array([1.0, 2.0, 3.0])), since_s=5)


def test_a_process_is_watched_until_the_block_ends() -> None:
    seen: list[Sample] = []
    with watching(os.getpid(), every_s=3600, on_sample=seen.append) as watched:
        pass
    assert watched == seen
    (sample,) = watched
    assert 0 < sample.anonymous_mb < sample.rss_mb
    assert sample.threads >= 1
