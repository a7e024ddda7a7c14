"""A process's memory over time: whether it grew while it warmed up, or grows for good.

Anonymous memory (heaps, stacks) is told apart from mapped files, whose pages come and go with what the
machine has read of them: only the first can leak.
"""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil
from scipy.stats import theilslopes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process held at a moment.

    Attributes:
        at_s: Seconds since the watch began.
        rss_mb: Resident memory.
        anonymous_mb: That of it which no file backs.
        cpu_s: Processor time it has taken so far.
        threads: Its threads.
        files: Its open descriptors.
    """

    at_s: float
    rss_mb: float
    anonymous_mb: float
    cpu_s: float = 0.0
    threads: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class Minute:
    """The medians of a minute's samples; `grown_mb` is anonymous memory against the minute before."""

    number: int
    rss_mb: float
    anonymous_mb: float
    grown_mb: float
    cpu_share: float
    threads: int
    files: int


@dataclass(frozen=True, slots=True)
class Trend:
    """How memory grows: the median slope of all pairs of samples, with a 95 % interval (Sen 1968)."""

    mb_an_hour: float
    low: float
    high: float

    def says(self, tolerated_mb: float) -> str:
        """Say in words what the interval allows to say; growth below what is tolerated an hour is none."""
        if self.high <= tolerated_mb:
            return "levelled off"
        return "still growing" if self.low > tolerated_mb else "not told apart: watch it longer"


def by_minute(samples: Sequence[Sample]) -> list[Minute]:
    """Return each minute's medians, in order; less than half a minute at the end counts to the one before."""
    minutes: list[Minute] = []
    count = max(1, round(samples[-1].at_s / MINUTE_S))
    for number in range(count):
        of_it = [one for one in samples if min(int(one.at_s / MINUTE_S), count - 1) == number]
        if not of_it:
            continue
        anonymous_mb = statistics.median(one.anonymous_mb for one in of_it)
        before_mb = minutes[-1].anonymous_mb if minutes else of_it[0].anonymous_mb
        passed_s = of_it[-1].at_s - of_it[0].at_s
        minutes.append(
            Minute(
                number=number + 1,
                rss_mb=statistics.median(one.rss_mb for one in of_it),
                anonymous_mb=anonymous_mb,
                grown_mb=anonymous_mb - before_mb,
                cpu_share=(of_it[-1].cpu_s - of_it[0].cpu_s) / passed_s if passed_s else 0.0,
                threads=of_it[-1].threads,
                files=of_it[-1].files,
            )
        )
    return minutes


def trend_of(samples: Sequence[Sample], since_s: float) -> Trend:
    """Return how anonymous memory grew from a moment on; what was before is warming up.

    Raises:
        ValueError: There are fewer than three samples, of which no interval can be given.
    """
    late = [one for one in samples if one.at_s >= since_s]
    if len(late) < 3:
        raise ValueError(f"{len(late)} samples after {since_s:g} s say nothing about a trend")
    slope, _, low, high = theilslopes([one.anonymous_mb for one in late], [one.at_s / 3600 for one in late])
    return Trend(float(slope), float(low), float(high))


@contextmanager
def watching(
    pid: int, every_s: float, on_sample: Callable[[Sample], None] = lambda _sample: None
) -> Iterator[list[Sample]]:
    """Sample a process from a thread until the block ends; the list grows meanwhile."""
    process, done = psutil.Process(pid), threading.Event()
    samples: list[Sample] = []
    begun_s = time.monotonic()

    def watch() -> None:
        while True:
            sample = sample_of(process, time.monotonic() - begun_s)
            samples.append(sample)
            on_sample(sample)
            if done.wait(every_s):
                return

    thread = threading.Thread(target=watch, name="memory-watch")
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def sample_of(process: psutil.Process, at_s: float) -> Sample:
    """Ask the system what a process holds now, without stopping it."""
    memory, cpu = process.memory_info(), process.cpu_times()
    return Sample(
        at_s=at_s,
        rss_mb=memory.rss / 1e6,
        anonymous_mb=(memory.rss - memory.shared) / 1e6,
        cpu_s=cpu.user + cpu.system,
        threads=process.num_threads(),
        files=process.num_fds(),
    )
