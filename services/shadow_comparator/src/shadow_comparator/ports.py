"""What this service needs of the world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.positions import TopicPartition
    from bus.received import Received
    from bus.watermarks import Watermark
    from monitoring import Differences

    from shadow_comparator.domain.facts import Outcome, Prediction, Resolved
    from shadow_comparator.domain.joining import Entry, Record
    from shadow_comparator.domain.revisions import Compared, Pair, Stored
    from shadow_comparator.domain.windows import Answer, Contents, Glimpse, Truth, Window


class UnreadableFact(Exception):
    """An event says nothing that can be joined.

    Attributes:
        reason: UPPER_SNAKE.
        detail: What is wrong.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Reader(Protocol):
    """Reads events as facts."""

    def __call__(self, received: Received) -> Prediction | Outcome:
        """Read an event.

        Raises:
            UnreadableFact: It is none, or lacks what joining needs.
        """


class PredictionLog(Protocol):
    """Answers and outcomes waiting for each other."""

    async def join(self, entries: Sequence[Entry]) -> list[Record]:
        """Add what each entry brings and return everything known about its request, in one step.

        Of facts with one identity the first stays. So of two processes that bring two sides of a pair at
        the same time, at least one sees both.

        Raises:
            Unavailable: The log is away; some entries may have been added, which is harmless to repeat.
        """


class WindowLog(Protocol):
    """What lies in each window."""

    async def add(
        self, answers: Mapping[Window, Sequence[Answer]], truths: Mapping[Window, Sequence[Truth]]
    ) -> None:
        """Put answers and labels into windows; the first answer and the latest revision of a label stay.

        Raises:
            Unavailable: The log is away; repeating is harmless.
        """

    async def glimpse(self, model: str) -> list[Glimpse]:
        """Say how much is in each window of a model, oldest first."""

    async def contents(self, window: Window) -> Contents:
        """Read a window."""

    async def forget(self, window: Window, changes: int) -> None:
        """Stop reporting a window in `glimpse`, unless it has changed beyond `changes`."""


class Marks(Protocol):
    """How far the whole group is, kept beside the effects themselves."""

    async def advance(self, marks: Mapping[TopicPartition, Watermark]) -> None:
        """Move marks forward; a mark never moves back.

        Raises:
            Unavailable: The marks are away.
        """

    async def report_ends(self, ends: Mapping[TopicPartition, int]) -> None:
        """Say where partitions end, as far as is known."""

    async def read(self) -> tuple[Mapping[TopicPartition, Watermark], set[TopicPartition]]:
        """Return all marks, and which partitions are idle: read up to their last known end."""


class ComparisonLog(Protocol):
    """What was said about windows, so that each revision is decided once, whoever owns the windows."""

    async def newest(self, window: Window) -> Mapping[Pair, Stored]:
        """Return the newest revision for each pair compared over a window."""

    async def propose(self, compared: Compared) -> Stored | None:
        """Store a revision; return it, or None when one of its number or a later one is stored already."""

    async def published(self, window: Window, pair: Pair, revision: int) -> None:
        """Note that a revision's event has left."""

    async def evidence(self, pair: Pair) -> Mapping[int, Differences]:
        """Return the differences of a pair's matured windows, by their start."""

    async def weigh(self, compared: Compared) -> None:
        """Make a window's differences evidence or, if it has not matured, take them out.

        An older revision than the one last weighed changes nothing.
        """


class Announcements(Protocol):
    """The facts this service tells. Each has an id of its own, the same in every repeat."""

    async def resolved(self, resolved: Sequence[Resolved]) -> None:
        """Tell that answers met outcomes.

        Raises:
            Unavailable: The bus is away.
        """

    async def compared(self, stored: Stored) -> None:
        """Tell a comparison, byte for byte as it was stored.

        Raises:
            Unavailable: The bus is away.
        """

    async def told_up_to(self, marks: Mapping[TopicPartition, Watermark]) -> None:
        """Tell that everything there was to tell of windows at these marks has been told.

        Raises:
            Unavailable: The bus is away.
        """
