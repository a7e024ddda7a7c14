"""What was found of a day of events: figures, bounds and verdicts. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DAY_US: Final = 86_400_000_000
SETTLE_US: Final = 3_600_000_000
"""A day is judged by what was recorded up to an hour after its end: later arrivals change no verdict."""
MOST_EXAMPLES: Final = 5
_EPOCH: Final = date(1970, 1, 1)


class Verdict(StrEnum):
    """What an expectation comes to."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    INSUFFICIENT = "INSUFFICIENT"
    """There was nothing to judge; never a pass, never a fail."""


@dataclass(frozen=True, slots=True, order=True)
class Day:
    """A day of event time, UTC, by its number since the epoch."""

    number: int

    @classmethod
    def of(cls, text: str) -> Day:
        """Read a day, such as "2013-08-30".

        Raises:
            ValueError: It is none.
        """
        return cls.on(date.fromisoformat(text))

    @classmethod
    def on(cls, day: date) -> Day:
        """Return the day that the calendar has it."""
        return cls((day - _EPOCH).days)

    @classmethod
    def holding(cls, time_us: int) -> Day:
        """Return the day in which a time lies."""
        return cls(time_us // DAY_US)

    @property
    def start_us(self) -> int:
        """Its first microsecond."""
        return self.number * DAY_US

    @property
    def end_us(self) -> int:
        """The microsecond after its last."""
        return self.start_us + DAY_US

    @property
    def known_by_us(self) -> int:
        """What was recorded before this is what it is judged by."""
        return self.end_us + SETTLE_US

    def __str__(self) -> str:
        return (_EPOCH + timedelta(days=self.number)).isoformat()


@dataclass(frozen=True, slots=True, order=True)
class Example:
    """A row that speaks for a finding, by where its record was."""

    partition: int
    offset: int
    told: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one expectation.

    Attributes:
        statistic: What was measured, such as "null_rate".
        subject: The field or fields; empty for the events as a whole.
        value: The figure; None where nothing could be measured.
        bound: What was expected, in words.
        threshold: The bound that the value is held against, as a number.
        rows: How many rows the figure is of.
        failed: How many rows speak against it.
    """

    statistic: str
    subject: str
    value: float | None
    bound: str
    threshold: float | None
    verdict: Verdict
    rows: int = 0
    failed: int = 0
    detail: str = ""
    examples: tuple[Example, ...] = ()

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from the source's other findings."""
        return self.statistic, self.subject


@dataclass(frozen=True, slots=True)
class Refusals:
    """What one reason refused in a day at the door: `examples` are originals' positions."""

    reason: str
    count: int
    examples: tuple[Example, ...]


Quarantine: TypeAlias = "Mapping[Day, tuple[Refusals, ...]]"
"""What the door refused of one source, by the day in which it was recorded."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure's 28 days before: `deviations` is how many robust standard deviations the day is off.

    Attributes:
        values: By day, ascending; days without a figure are left out.
        deviations: (value - median) / (1.4826 MAD); None where the days before were all alike, or too few.
    """

    values: tuple[tuple[Day, float], ...]
    median: float
    mad: float
    deviations: float | None


@dataclass(frozen=True, slots=True)
class SourceDay:
    """A source's day, judged.

    Attributes:
        rows: Of the lake, repeats of one event included.
        refusals: What the door refused, by reason; None where dead letters were not looked at.
        trends: By a finding's name.
        is_closed: Whether the lake had reached `Day.known_by_us`: if not, figures may still change.
    """

    topic: str
    owner: str
    day: Day
    rows: int
    findings: tuple[Finding, ...]
    refusals: tuple[Refusals, ...] | None
    trends: Mapping[tuple[str, str], Trend]
    is_closed: bool
    definition: str

    @property
    def failed(self) -> Sequence[Finding]:
        """The expectations that failed."""
        return [one for one in self.findings if one.verdict is Verdict.FAILED]

    @property
    def verdict(self) -> Verdict:
        """FAILED if any expectation did, PASSED if any passed and none failed."""
        return worst(one.verdict for one in self.findings)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return FAILED where one is, else PASSED where one is, else INSUFFICIENT."""
    found = set(verdicts)
    return next(
        (one for one in (Verdict.FAILED, Verdict.PASSED) if one in found),
        Verdict.INSUFFICIENT,
    )


def moment(time_us: int) -> str:
    """Return a time to the second, such as "2013-08-30 14:05:00Z"."""
    return f"{datetime.fromtimestamp(time_us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}Z"
