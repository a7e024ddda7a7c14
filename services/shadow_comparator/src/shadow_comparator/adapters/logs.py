"""The logs of answers and of windows, and the group's marks, in a ledger."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus.positions import TopicPartition
from bus.watermarks import Watermark

from shadow_comparator.adapters import codec
from shadow_comparator.adapters.ledger import CHANGES, Entry, Write
from shadow_comparator.domain.facts import Role
from shadow_comparator.domain.joining import Record
from shadow_comparator.domain.windows import Contents, Glimpse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shadow_comparator.adapters.ledger import Ledger, Page
    from shadow_comparator.domain import joining
    from shadow_comparator.domain.facts import Outcome, Prediction
    from shadow_comparator.domain.windows import Answer, Truth, Window

_PREDICTION: Final = b"p"
_OUTCOME: Final = b"o"
_ANSWER: Final = b"a"
_TRUTH: Final = b"t"
_OFFSET: Final = b"n"
_TIME: Final = b"t"
_END: Final = b"e"
_REQUESTS: Final = b"requests"
_LABELLED: Final = b"labelled"
_ENTRIES_A_WRITE: Final = 500
"""A write stops the server while it runs: so many entries take about half a millisecond of it."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where things are kept, and for how long, in real time.

    Attributes:
        prefix: Of every key.
        answers_ms: An answer waits so long for its outcome.
        outcomes_ms: An outcome that met no answer waits so long for one.
        evidence_ms: What windows add to a verdict.
    """

    prefix: str
    answers_ms: int
    outcomes_ms: int
    evidence_ms: int

    def key(self, kind: str, *parts: str) -> bytes:
        """Name a hash; no other parts give the same name."""
        return ":".join([self.prefix, kind, *(f"{len(part)}:{part}" for part in parts)]).encode()


_Brought = dict[bytes, tuple[bytes, "Prediction"]]
"""Answers of an entry by field: as bytes, and as they are."""


class LedgerPredictionLog:
    """`PredictionLog`: a hash a request."""

    def __init__(self, ledger: Ledger, keeping: Keeping) -> None:
        self._ledger = ledger
        self._keeping = keeping

    async def join(self, entries: Sequence[joining.Entry]) -> list[Record]:
        """See `PredictionLog.join`."""
        brought = [_brought(entry) for entry in entries]
        writes = [self._write(entry, answers) for entry, answers in zip(entries, brought, strict=True)]
        pages = await self._ledger.exchange(writes)
        return [_record(*one) for one in zip(entries, brought, pages, strict=True)]

    def _write(self, entry: joining.Entry, brought: _Brought) -> Write:
        answers = [Entry(name, 0, content) for name, (content, _) in brought.items()]
        outcomes = [
            Entry(_OUTCOME + b"%d" % one.revision, 0, codec.outcome_bytes(one)) for one in entry.outcomes
        ]
        keep_ms = self._keeping.answers_ms if answers else self._keeping.outcomes_ms
        return Write(self._keeping.key("j", entry.label, entry.request_key), [*answers, *outcomes], keep_ms)


def _brought(entry: joining.Entry) -> _Brought:
    found: _Brought = {}
    for one in entry.predictions:
        found.setdefault(_PREDICTION + codec.identity(*one.identity), (codec.prediction_bytes(one), one))
    return found


def _record(entry: joining.Entry, brought: _Brought, page: Page) -> Record:
    predictions: list[Prediction] = []
    outcomes: list[Outcome] = []
    for name, (_, content) in sorted(page.fields.items()):
        if name.startswith(_OUTCOME):
            outcomes.append(codec.outcome_of(entry.label, entry.request_key, int(name[1:]), content))
            continue
        # Most of what comes back is what was just written: reading it again would double the cost of an
        # answer.
        ours = brought.get(name)
        kept = ours[1] if ours is not None and ours[0] == content else codec.prediction_of(content)
        predictions.append(kept)
    return Record(tuple(predictions), tuple(outcomes))


class LedgerWindowLog:
    """`WindowLog`: a hash a window, and one a model that says which windows there are."""

    def __init__(self, ledger: Ledger, keeping: Keeping) -> None:
        self._ledger = ledger
        self._keeping = keeping

    async def add(
        self, answers: Mapping[Window, Sequence[Answer]], truths: Mapping[Window, Sequence[Truth]]
    ) -> None:
        """See `WindowLog.add`."""
        entries: dict[Window, list[Entry]] = defaultdict(list)
        for window, found in answers.items():
            entries[window].extend(_answer_entry(answer) for answer in found)
        for window, told in truths.items():
            entries[window].extend(
                Entry(
                    _TRUTH + one.prediction_id.encode(),
                    one.revision,
                    codec.number_bytes(one.value),
                    _LABELLED,
                )
                for one in told
            )
        await self._report(entries, await self._write(entries))

    async def _write(self, entries: Mapping[Window, Sequence[Entry]]) -> dict[Window, list[int]]:
        parts = [
            (window, found[start : start + _ENTRIES_A_WRITE])
            for window, found in entries.items()
            for start in range(0, len(found), _ENTRIES_A_WRITE)
        ]
        writes = [Write(self._window_key(window), part, self._keeping.answers_ms) for window, part in parts]
        replies = await self._ledger.write(writes, (CHANGES, _REQUESTS, _LABELLED))
        # The counters after a window's last part are those of the whole.
        return {window: counters for (window, _), (_, *counters) in zip(parts, replies, strict=True)}

    async def _report(
        self, windows: Mapping[Window, object], counters: Mapping[Window, Sequence[int]]
    ) -> None:
        # After the windows, and whether or not they changed now: whoever repeats a write makes up for one
        # that crashed before it came here.
        reports: dict[str, list[Entry]] = defaultdict(list)
        for window in windows:
            changes, requests, labelled = counters[window]
            reports[window.model].append(
                Entry(b"%d" % window.start_us, changes, b"%d %d" % (requests, labelled))
            )
        await self._ledger.write(
            [
                Write(self._model_key(model), found, self._keeping.answers_ms)
                for model, found in reports.items()
            ]
        )

    async def glimpse(self, model: str) -> list[Glimpse]:
        """See `WindowLog.glimpse`."""
        (page,) = await self._ledger.read([self._model_key(model)])
        return [
            Glimpse(start_us, changes, *map(int, counts.split()))
            for start_us, (changes, counts) in sorted(
                (int(name), found) for name, found in page.fields.items()
            )
        ]

    async def contents(self, window: Window) -> Contents:
        """See `WindowLog.contents`."""
        (page,) = await self._ledger.read([self._window_key(window)])
        return Contents(
            answers=[
                codec.answer_of(name[1:], content)
                for name, (_, content) in page.fields.items()
                if name.startswith(_ANSWER)
            ],
            truths={
                name[1:].decode(): codec.number_of(content)
                for name, (_, content) in page.fields.items()
                if name.startswith(_TRUTH)
            },
        )

    async def forget(self, window: Window, changes: int) -> None:
        """See `WindowLog.forget`."""
        await self._ledger.drop(self._model_key(window.model), b"%d" % window.start_us, changes)

    def _window_key(self, window: Window) -> bytes:
        return self._keeping.key("w", window.model, str(window.start_us))

    def _model_key(self, model: str) -> bytes:
        return self._keeping.key("o", model)


def _answer_entry(answer: Answer) -> Entry:
    name = _ANSWER + codec.identity(answer.prediction_id, answer.version)
    # Every request has one answer that was served, whichever arm gave it.
    counter = b"" if answer.role is Role.SHADOW else _REQUESTS
    return Entry(name, 0, codec.answer_bytes(answer), counter)


class LedgerMarks:
    """`Marks`: in the same place as the effects, so that whoever loses one loses both."""

    def __init__(self, ledger: Ledger, keeping: Keeping) -> None:
        self._ledger = ledger
        self._keeping = keeping

    async def advance(self, marks: Mapping[TopicPartition, Watermark]) -> None:
        """See `Marks.advance`."""
        # The time apart from the offset, so that it is the newest whoever had the partition before; in one
        # hash with it, so that neither is moved without the other.
        offsets = [Entry(_OFFSET + _place(where), mark.next_offset, b"") for where, mark in marks.items()]
        times = [Entry(_TIME + _place(where), mark.event_us, b"") for where, mark in marks.items()]
        await self._ledger.write([self._write("m", [*offsets, *times])])

    async def report_ends(self, ends: Mapping[TopicPartition, int]) -> None:
        """See `Marks.report_ends`."""
        entries = [Entry(_END + _place(where), end, b"") for where, end in ends.items()]
        await self._ledger.write([self._write("m", entries)])

    async def read(self) -> tuple[Mapping[TopicPartition, Watermark], set[TopicPartition]]:
        """See `Marks.read`."""
        (page,) = await self._ledger.read([self._keeping.key("m")])
        rank = {name: found.rank for name, found in page.fields.items()}
        marks = {
            _where(name[1:]): Watermark(next_offset, 0, rank[_TIME + name[1:]])
            for name, next_offset in rank.items()
            if name.startswith(_OFFSET)
        }
        ends = {_where(name[1:]): end for name, end in rank.items() if name.startswith(_END)}
        return marks, {
            where for where, end in ends.items() if where in marks and marks[where].next_offset >= end
        }

    def _write(self, kind: str, entries: Sequence[Entry]) -> Write:
        return Write(self._keeping.key(kind), entries, self._keeping.answers_ms)


def _place(where: TopicPartition) -> bytes:
    return f"{where.partition}:{where.topic}".encode()


def _where(name: bytes) -> TopicPartition:
    partition, _, topic = name.decode().partition(":")
    return TopicPartition(topic, int(partition))
