"""Counting: what arrives is added to its partition's share, once.

A share and the offset it reaches are saved as one, and only if the share is still at the offset it was read
at. So whoever has a partition, and however often it is read again, each record counts once.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from bus.errors import Unavailable
from bus.positions import TopicPartition
from bus.received import Received, Rejection

from drift_detector.domain.facts import Answered, Resolved
from drift_detector.domain.shares import (
    Counted,
    Crowd,
    Share,
    count_answers,
    count_outcomes,
    crowd_of,
    place_of,
)
from drift_detector.domain.sums import Summable
from drift_detector.ports import Held, Piece, UnreadableFact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bus.events import Event
    from bus.watermarks import Watermark

    from drift_detector.domain.inputs import InputSketch
    from drift_detector.domain.outcomes import LabelSketch
    from drift_detector.domain.references import Reference
    from drift_detector.domain.shares import Rules
    from drift_detector.metrics import Metrics
    from drift_detector.ports import Member, Reader, References, Shares

Sketch = TypeVar("Sketch", bound=Summable)
Fact = Answered | Resolved
_CLOCK_SKEW_US: Final = 5 * 60 * 1_000_000
_PIECE_ENTRIES: Final = 2_048
_CROWDS_IN_MEMORY: Final = 48


@dataclass(slots=True)
class Desk(Generic[Sketch]):
    """A partition that is being counted, as far as it is in memory.

    Attributes:
        where: The partition.
        held: What is kept of it.
        share: What was loaded, and changed.
        logged: By crowd, how many entries of its log are saved.
    """

    where: TopicPartition
    held: Held
    share: Share[Sketch] = field(default_factory=Share)
    logged: dict[Crowd, int] = field(default_factory=dict)

    def tidy(self) -> None:
        """Keep the newest crowds in memory; the others are read again when they are needed."""
        kept = set(sorted(self.share.log, key=lambda crowd: crowd.grain_us)[-_CROWDS_IN_MEMORY:])
        for crowd in set(self.share.log) - kept:
            del self.share.log[crowd], self.share.members[crowd]
            self.logged.pop(crowd, None)
        oldest_us = min((crowd.grain_us for crowd in kept), default=0)
        for place in [one for one in self.share.sketches if one.grain_us < oldest_us]:
            del self.share.sketches[place]


class Count(Protocol[Sketch]):
    """Adds facts to a share; see `domain.shares`."""

    def __call__(
        self,
        share: Share[Sketch],
        facts: Sequence[Any],
        rules: Mapping[str, Rules],
        reference_of: Callable[[str, str], Reference | None],
        /,
    ) -> Counted:
        """Add facts, and say what changed."""


class Books(Generic[Sketch]):
    """One topic's partitions.

    Args:
        shares: Where they are kept.
        count: How facts are counted.
        rules: By model; facts of other models are passed over.
        lost: Told when what is kept is older than what was saved: the process has to begin anew.
    """

    def __init__(
        self,
        *,
        shares: Shares[Sketch],
        count: Count[Sketch],
        references: References,
        rules: Mapping[str, Rules],
        metrics: Metrics,
        lost: Callable[[str], None],
    ) -> None:
        self._shares = shares
        self._count = count
        self._references = references
        self._rules = rules
        self._metrics = metrics
        self._lost = lost
        self._desks: dict[TopicPartition, Desk[Sketch]] = {}
        self._reached: dict[TopicPartition, int] = {}

    async def begin(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Say where to begin in partitions that are now ours."""
        marks = await self._shares.marks(partitions)
        self._desks.clear()
        self._reached = {where: marks[where].next_offset if where in marks else 0 for where in partitions}
        return dict(self._reached)

    async def add(
        self, where: TopicPartition, batch: Sequence[tuple[Received, Fact | None]]
    ) -> list[Rejection]:
        """Count a batch of one partition, and save."""
        while True:
            desk = self._desks.get(where) or await self._open(where)
            fresh = [one for one in batch if one[0].offset >= desk.held.mark.next_offset]
            if not fresh:
                return []
            try:
                counted = await self._apply(desk, [fact for _, fact in fresh if self._counts(desk, fact)])
                mark = _moved(desk.held.mark, [received for received, _ in fresh])
                saved = await self._save(desk, mark, counted)
            except BaseException:
                # The share in memory may be ahead of, or behind, what is kept.
                self._desks.pop(where, None)
                raise
            if saved:
                self._metrics.counted(counted)
                return _contradictions(fresh, counted)
            del self._desks[where]

    async def _open(self, where: TopicPartition) -> Desk[Sketch]:
        held = await self._shares.held(where)
        reached = self._reached.get(where, 0)
        if held.mark.next_offset < reached:
            problem = f"{where} was counted up to {reached}, and what is kept is of {held.mark.next_offset}"
            self._lost(problem)
            raise Unavailable(f"{problem}: Redis lost its newest writes; this process begins anew")
        desk = self._desks[where] = Desk(where, held)
        return desk

    def _counts(self, desk: Desk[Sketch], fact: Fact | None) -> bool:
        if fact is None or fact.model not in self._rules:
            return False
        if crowd_of(fact, self._rules[fact.model]).grain_us < desk.held.floor_us:
            self._metrics.late(fact.model)
            return False
        return True

    async def _apply(self, desk: Desk[Sketch], facts: Sequence[Fact | None]) -> Counted:
        known = [fact for fact in facts if fact is not None]
        versions = sorted({(fact.model, fact.version) for fact in known})
        references = {version: await self._references.of(*version) for version in versions}
        await self._load(desk, known)
        return self._count(desk.share, known, self._rules, lambda model, version: references[model, version])

    async def _load(self, desk: Desk[Sketch], facts: Sequence[Fact]) -> None:
        crowds = {crowd_of(fact, self._rules[fact.model]) for fact in facts} - set(desk.share.log)
        pieces = [
            Piece(crowd, at) for crowd in sorted(crowds) for at in range(desk.held.crowds.get(crowd, 0))
        ]
        places = {place_of(fact, self._rules[fact.model]) for fact in facts} & set(desk.held.places)
        missing = sorted(places - set(desk.share.sketches))
        if missing:
            desk.share.sketches.update(await self._shares.sketches(desk.where, missing))
        logs = await self._shares.logs(desk.where, pieces) if pieces else {}
        for piece in sorted(logs):
            for identity, state in logs[piece]:
                desk.share.note(piece.crowd, identity, state)
        desk.logged.update({crowd: len(desk.share.log.get(crowd, ())) for crowd in crowds})

    async def _save(self, desk: Desk[Sketch], mark: Watermark, counted: Counted) -> bool:
        logs: dict[Piece, list[Member]] = {}
        for crowd in counted.crowds:
            log = desk.share.log[crowd]
            first = desk.logged.get(crowd, 0) // _PIECE_ENTRIES
            for number in range(first, -(-len(log) // _PIECE_ENTRIES)):
                begin = number * _PIECE_ENTRIES
                logs[Piece(crowd, number)] = log[begin : begin + _PIECE_ENTRIES]
        sketches = {place: desk.share.sketches[place] for place in counted.places}
        if not await self._shares.save(desk.where, desk.held.mark.next_offset, mark, sketches, logs):
            return False
        self._reached[desk.where] = mark.next_offset
        crowds = dict(desk.held.crowds)
        crowds.update({piece.crowd: piece.number + 1 for piece in sorted(logs)})
        desk.held = Held(mark, desk.held.floor_us, {*desk.held.places, *sketches}, crowds)
        desk.logged.update({crowd: len(desk.share.log[crowd]) for crowd in counted.crowds})
        desk.tidy()
        return True


class Counting:
    """The consumer's handler, and where it resumes.

    Args:
        read: From an event to a fact.
        answers: The name of their topic.
    """

    def __init__(
        self,
        *,
        read: Reader,
        answers: str,
        answer_books: Books[InputSketch],
        outcome_books: Books[LabelSketch],
    ) -> None:
        self._read_fact = read
        self._answers = answers
        self._answer_books = answer_books
        self._outcome_books = outcome_books
        self._ours: set[TopicPartition] = set()

    def owns(self, where: TopicPartition) -> bool:
        """Say whether this process has a partition."""
        return where in self._ours

    async def resume_from(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Say where to begin in partitions that are now ours; see `bus.runner.Positions`.

        The marks lie beside the counts: if those are lost so are the marks, and what the topics still hold is
        counted again.
        """
        answers = [where for where in partitions if where.topic == self._answers]
        others = [where for where in partitions if where.topic != self._answers]
        begins = await self._answer_books.begin(answers) | await self._outcome_books.begin(others)
        self._ours = set(partitions)
        return begins

    async def on_facts(self, batch: Sequence[Received]) -> Sequence[Rejection]:
        """Count a batch of answers and outcomes; what cannot be counted is refused."""
        rejections: list[Rejection] = []
        by_partition: dict[TopicPartition, list[tuple[Received, Fact | None]]] = defaultdict(list)
        for received in batch:
            fact = None
            try:
                fact = self._read_fact(received)
            except UnreadableFact as wrong:
                rejections.append(Rejection(received, wrong.reason, wrong.detail))
            by_partition[TopicPartition(received.topic, received.partition)].append((received, fact))
        for where, facts in by_partition.items():
            if where.topic == self._answers:
                rejections += await self._answer_books.add(where, facts)
            else:
                rejections += await self._outcome_books.add(where, facts)
        return rejections


def _moved(mark: Watermark, batch: Sequence[Received]) -> Watermark:
    event_us = max(_event_us(received.event) for received in batch)
    return mark.advanced(batch[-1].offset + 1, 0, event_us)


def _event_us(event: Event) -> int:
    # A clock that is years ahead somewhere must not close everybody's windows.
    return min(event.time_us, event.recorded_time_us + _CLOCK_SKEW_US)


def _contradictions(batch: Sequence[tuple[Received, Fact | None]], counted: Counted) -> list[Rejection]:
    wrong = {id(fact) for fact in counted.contradictions}
    return [
        Rejection(
            received,
            "CONTRADICTED_OUTCOME",
            f"revision {fact.revision} for this prediction was told before with another value; a correction "
            "needs a higher revision",
        )
        for received, fact in batch
        if isinstance(fact, Resolved) and id(fact) in wrong
    ]


ANSWERS: Final[Count[InputSketch]] = count_answers
OUTCOMES: Final[Count[LabelSketch]] = count_outcomes
