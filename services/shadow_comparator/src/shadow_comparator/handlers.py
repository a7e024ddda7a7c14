"""Joining: what arrives meets what was there.

Everything here may be repeated, by this process or another, in any order; see `ports`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from bus.positions import TopicPartition
from bus.received import Received, Rejection
from bus.watermarks import Watermark

from shadow_comparator.domain.facts import Outcome, Prediction
from shadow_comparator.domain.joining import contradicted, entries_of, newly_resolved
from shadow_comparator.domain.windows import Answer, Truth, Window, window_start_us
from shadow_comparator.ports import UnreadableFact

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bus.events import Event

    from shadow_comparator.domain.joining import Entry, Record
    from shadow_comparator.metrics import Metrics
    from shadow_comparator.ports import Announcements, Marks, PredictionLog, Reader, WindowLog

_CLOCK_SKEW_US: Final = 5 * 60 * 1_000_000


class Joining:
    """The consumer's handler, and where it resumes.

    Args:
        read: From an event to a fact.
        models: Whose windows are compared; answers of other models are only joined.
        window_us: The length of a window.
    """

    def __init__(  # noqa: PLR0913 - one keyword a port
        self,
        *,
        read: Reader,
        log: PredictionLog,
        windows: WindowLog,
        marks: Marks,
        announcements: Announcements,
        models: Collection[str],
        window_us: int,
        metrics: Metrics,
    ) -> None:
        self._read_fact = read
        self._log = log
        self._windows = windows
        self._marks = marks
        self._announcements = announcements
        self._models = models
        self._window_us = window_us
        self._metrics = metrics
        self._reached: dict[TopicPartition, Watermark] = {}

    @property
    def reached(self) -> Mapping[TopicPartition, Watermark]:
        """How far this process is in each partition it has."""
        return self._reached

    async def resume_from(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Say where to begin in partitions that are now ours; see `bus.runner.Positions`.

        The marks lie beside the joined facts: if those are lost so are the marks, and what the topics still
            hold is joined again.
        """
        marks, _ = await self._marks.read()
        self._reached = {where: marks.get(where, Watermark(0)) for where in partitions}
        return {where: mark.next_offset for where, mark in self._reached.items()}

    async def on_facts(self, batch: Sequence[Received]) -> Sequence[Rejection]:
        """Join a batch of answers and outcomes; what cannot be joined is refused."""
        facts, rejections = self._read(batch)
        entries = entries_of(fact for _, fact in facts)
        records = await self._log.join(entries)
        joined = list(zip(entries, records, strict=True))
        resolved = [one for entry, record in joined for one in newly_resolved(entry, record)]
        if resolved:
            await self._announcements.resolved(resolved)
        await self._windows.add(*self._window_facts(joined))
        await self._advance(batch)
        self._metrics.joined(joined, resolved)
        return [*rejections, *_contradictions(facts, joined)]

    def _read(
        self, batch: Sequence[Received]
    ) -> tuple[list[tuple[Received, Prediction | Outcome]], list[Rejection]]:
        facts: list[tuple[Received, Prediction | Outcome]] = []
        rejections: list[Rejection] = []
        for received in batch:
            try:
                facts.append((received, self._read_fact(received)))
            except UnreadableFact as wrong:
                rejections.append(Rejection(received, wrong.reason, wrong.detail))
        return facts, rejections

    def _window_facts(
        self, joined: Sequence[tuple[Entry, Record]]
    ) -> tuple[dict[Window, list[Answer]], dict[Window, list[Truth]]]:
        answers: dict[Window, list[Answer]] = defaultdict(list)
        truths: dict[Window, list[Truth]] = defaultdict(list)
        for entry, record in joined:
            brought = {prediction.identity: prediction for prediction in entry.predictions}
            for prediction in record.predictions:
                if prediction.model not in self._models:
                    continue
                window = self._window_of(prediction)
                if _is_first(brought.get(prediction.identity), prediction):
                    answers[window].append(_answer(prediction))
                truth = record.truth
                if truth is not None and (entry.outcomes or prediction.identity in brought):
                    truths[window].append(Truth(prediction.prediction_id, truth.value, truth.revision))
        return answers, truths

    def _window_of(self, prediction: Prediction) -> Window:
        return Window(prediction.model, window_start_us(prediction.request_time_us, self._window_us))

    async def _advance(self, batch: Sequence[Received]) -> None:
        moved: dict[TopicPartition, Watermark] = {}
        for received in batch:
            where = TopicPartition(received.topic, received.partition)
            mark = moved.get(where) or self._reached.get(where, Watermark(0))
            moved[where] = mark.advanced(received.offset + 1, 0, _event_us(received.event))
        await self._marks.advance(moved)
        # A batch in hand while partitions move may hold some that are ours no longer.
        self._reached.update({where: mark for where, mark in moved.items() if where in self._reached})


def _is_first(brought: Prediction | None, kept: Prediction) -> bool:
    """Say whether what was brought may stand in the window: not the repeat whose embedding is another's.

    An embedding is kept in the window alone, where the first one stays; whoever brought it puts it there.
    """
    return brought is not None and brought.embedding == kept.embedding


def _answer(prediction: Prediction) -> Answer:
    return Answer(
        prediction.prediction_id,
        prediction.version,
        prediction.role,
        prediction.score,
        prediction.probabilities or prediction.embedding,
    )


def _event_us(event: Event) -> int:
    # A clock that is years ahead somewhere must not close everybody's windows.
    return min(event.time_us, event.recorded_time_us + _CLOCK_SKEW_US)


def _contradictions(
    facts: Sequence[tuple[Received, Prediction | Outcome]], joined: Sequence[tuple[Entry, Record]]
) -> list[Rejection]:
    wrong = {outcome for entry, record in joined for outcome in contradicted(entry, record)}
    return [
        Rejection(
            received,
            "CONTRADICTED_OUTCOME",
            f"revision {fact.revision} of {fact.label} for {fact.request_key!r} was told before with another "
            "value; a correction needs a higher revision",
        )
        for received, fact in facts
        if isinstance(fact, Outcome) and fact in wrong
    ]
