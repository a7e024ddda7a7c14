"""A source's day against its definition and its expectations."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from feature_store.expectations import Fresh, NullRate, Passes, References, Refused, Unique, Volume

from data_quality.chunks import place
from data_quality.findings import DAY_US, Day, Example, Finding, SourceDay, Verdict
from data_quality.schemas import CONFORMS, SourceSchema
from data_quality.tallies import (
    FreshTally,
    NullRateTally,
    ReferencesTally,
    Tally,
    UniqueTally,
    VolumeTally,
    Witnesses,
    hashes,
    judged,
)
from data_quality.trends import TREND_DAYS, trend_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from feature_store import Source
    from feature_store.checks import SourceCheck
    from feature_store.expectations import Expectation
    from numpy.typing import NDArray

    from data_quality.chunks import Chunk, History
    from data_quality.findings import Quarantine, Refusals

_LONGEST_TOLD: Final = 200


class _Schemas:
    """Counts what rows break of the source's schema, and of its `Passes`."""

    def __init__(self, source: Source) -> None:
        self._passes: list[Passes] = [one for one in source.expectations if isinstance(one, Passes)]
        labelled: list[tuple[str, SourceCheck]] = [(one.subject, one.check) for one in self._passes]
        self._schema = SourceSchema(source, labelled)
        self._rows = 0
        self._failed = dict.fromkeys((CONFORMS, *(label for label, _ in labelled)), 0)
        self._witnesses = {label: Witnesses() for label in self._failed}
        self._columns: set[str] = set()

    def add(self, chunk: Chunk) -> None:
        broken = self._schema.broken(chunk)
        self._rows += len(chunk)
        self._columns.update(broken.columns)
        for label, rows in broken.rows.items():
            self._failed[label] += len(rows)
            positions = chunk.positions
            told = sorted((int(positions[row]), text[:_LONGEST_TOLD]) for row, text in rows.items())
            self._witnesses[label].take(Example(*place(position), text) for position, text in told[:5])

    def findings(self) -> Iterable[Finding]:
        failed = self._failed[CONFORMS]
        yield Finding(
            *(CONFORMS, "", self._share(CONFORMS), "the schema and every check"),
            threshold=1.0,
            verdict=Verdict.FAILED if self._columns else judged(self._share(CONFORMS), at_least=1.0),
            rows=self._rows,
            failed=failed,
            detail="; ".join(sorted(self._columns)),
            examples=self._witnesses[CONFORMS].first,
        )
        for one in self._passes:
            share = self._share(one.subject)
            yield Finding(
                *(one.statistic, one.subject, share, f"at least {one.at_least:.2%}"),
                threshold=one.at_least,
                verdict=judged(share, at_least=one.at_least),
                rows=self._rows,
                failed=self._failed[one.subject],
                examples=self._witnesses[one.subject].first,
            )

    def _share(self, label: str) -> float | None:
        return 1 - self._failed[label] / self._rows if self._rows else None


class Judge:
    """Judges a source's days; a day that was measured as one of those before another is remembered.

    Args:
        source: Whose days.
        history: The lake.
        refusals: What the door refused, by day of the record; None where nobody looked.
        trend_days: How many days before a day it is compared with.
    """

    def __init__(
        self,
        source: Source,
        history: History,
        refusals: Quarantine | None = None,
        trend_days: int = TREND_DAYS,
    ) -> None:
        self._source = source
        self._history = history
        self._refusals = refusals
        self._trend_days = trend_days
        self._measured: dict[Day, tuple[int, tuple[Finding, ...]]] = {}

    def judge(self, day: Day, *, is_closed: bool = True) -> SourceDay:
        """Judge a day, and say how its figures were on the days before.

        Args:
            day: Which.
            is_closed: Whether everything that counts has come in.

        Raises:
            DatasetError: the lake cannot be read.
        """
        before = [Day(day.number - back) for back in range(self._trend_days, 0, -1)]
        earlier = [(one, self._measure(one)[1]) for one in before]
        rows, findings = self._measure(day)
        return SourceDay(
            topic=self._source.topic,
            owner=self._source.owner,
            day=day,
            rows=rows,
            findings=findings,
            refusals=None if self._refusals is None else self._refusals.get(day, ()),
            trends={one.name: trend for one in findings if (trend := trend_of(one, earlier)) is not None},
            is_closed=is_closed,
            definition=digest(self._source),
        )

    def _measure(self, day: Day) -> tuple[int, tuple[Finding, ...]]:
        if day not in self._measured:
            of_day = None if self._refusals is None else self._refusals.get(day, ())
            self._measured[day] = _measure(self._source, day, self._history, of_day)
        return self._measured[day]


def digest(source: Source) -> str:
    """Return twelve hex digits that stand for what is expected of a source."""
    told = [*(check.about for check in source.checks), *map(_described, source.expectations)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]


def _described(one: Expectation) -> str:
    match one:
        # A check may hold a set, and a source's repr names files: neither is the same in every process.
        case Passes(check, at_least):
            return f"passes {check.about} {at_least}"
        case References():
            return repr(replace(one, source=None)) + one.source.topic  # type: ignore[arg-type]
        case _:
            return repr(one)


def _measure(
    source: Source, day: Day, history: History, refusals: Sequence[Refusals] | None
) -> tuple[int, tuple[Finding, ...]]:
    schemas = _Schemas(source)
    tallies = [
        tally for one in source.expectations if (tally := _tally_of(source, one, day, history)) is not None
    ]
    rows = 0
    for chunk in history.chunks(source, day.start_us, day.end_us, day.known_by_us):
        rows += len(chunk)
        schemas.add(chunk)
        for tally in tallies:
            tally.add(chunk)
    found = [*schemas.findings(), *(tally.finding() for tally in tallies)]
    refused = [_refused(one, rows, refusals) for one in source.expectations if isinstance(one, Refused)]
    return rows, (*found, *refused)


def _tally_of(source: Source, expected: Expectation, day: Day, history: History) -> Tally | None:
    match expected:
        case NullRate():
            return NullRateTally(expected)
        case Volume():
            return VolumeTally(expected)
        case Unique():
            return UniqueTally(expected)
        case Fresh():
            return FreshTally(expected, day, _newest_before_us(source, day, history))
        case References():
            return ReferencesTally(expected, _known(expected, day, history))
        case _:
            return None


def _newest_before_us(source: Source, day: Day, history: History) -> int:
    first_us = day.start_us - DAY_US
    chunks = history.chunks(source, first_us, day.start_us, day.start_us)
    return max((int(chunk.events.event_time_us.max()) for chunk in chunks if len(chunk)), default=first_us)


def _known(expected: References, day: Day, history: History) -> NDArray[np.uint64]:
    since_us = day.start_us - expected.within_us
    known = np.zeros(0, np.uint64)
    for chunk in history.chunks(expected.source, since_us, day.end_us, day.known_by_us):
        known = np.union1d(known, hashes(chunk.events.columns[expected.their_field]))
    return known


def _refused(expected: Refused, rows: int, refusals: Sequence[Refusals] | None) -> Finding:
    count = sum(one.count for one in refusals or ())
    value = count / (count + rows) if refusals is not None and count + rows else None
    return Finding(
        *(expected.statistic, "", value, f"at most {expected.at_most:.2%}"),
        threshold=expected.at_most,
        verdict=judged(value, at_most=expected.at_most),
        rows=count + rows,
        failed=count,
        detail="dead letters were not looked at" if refusals is None else "",
        examples=tuple(sorted(example for one in refusals or () for example in one.examples))[:5],
    )
