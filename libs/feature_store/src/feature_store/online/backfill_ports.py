"""What a backfill works on: the lake, the topics, the store, and who watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from feature_store.definitions import Source
    from feature_store.events import EventBatch
    from feature_store.online.backfill_plan import Plan
    from feature_store.online.epochs import Epochs
    from feature_store.online.keepers import Keepers, Offsets, Positions
    from feature_store.online.ports import Claims, FeatureRows


class BackfillBroken(Exception):
    """It cannot go on with what it staged: the backfill has to begin anew."""


class History(Protocol):
    """What the lake holds of sources."""

    async def reached(self, source: Source) -> Offsets:
        """Look anew, and return how far the source's table goes, by partition."""
        ...

    async def read(self, source: Source, ranges: Mapping[int, tuple[int, int]]) -> EventBatch:
        """Return the events whose offset is in its partition's range [first, end), in any order."""
        ...


class Log(Protocol):
    """The sources' topics, and how far groups have come in them."""

    async def begins(self) -> Positions:
        """Return the first offset that each partition still holds; where it holds nothing, the next one."""
        ...

    async def ends(self) -> Positions:
        """Return where each partition ends now; 0 where it holds nothing."""
        ...

    async def commits(self, group: str) -> Positions:
        """Return what a group has committed."""
        ...

    async def commit(self, group: str, positions: Positions) -> None:
        """Move a group that has no members."""
        ...


@dataclass(frozen=True, slots=True)
class Note:
    """How far a backfill has come.

    Attributes:
        run: Its name.
        revision: What handed-over rows begin to count from; no row is written so often.
        plan: What it does.
        positions: What was applied.
    """

    run: str
    revision: int
    plan: Plan
    positions: Positions


class BackfillStore(Protocol):
    """What a group's backfill needs of the store beside rows and claims."""

    async def note(self) -> Note | None:
        """Return what the last `take_note` noted."""
        ...

    async def take_note(self, note: Note) -> None:
        """Note how far the backfill has come."""
        ...

    def staged_keys(self) -> AsyncIterator[Sequence[bytes]]:
        """Yield the keys of staged rows, in parts; some may come twice."""
        ...

    async def copy_claims(self, positions: Positions) -> None:
        """Put the staged claims of the partitions' last generations over the group's own."""
        ...

    async def forget(self) -> None:
        """Delete the staged rows and claims, and the note last."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """How far a backfill has come, for who watches.

    Attributes:
        doing: "staging", "waiting for the lake", "handing over".
        done: Offsets passed, or rows handed over.
        total: Of how many.
    """

    doing: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Filled:
    """What a backfill did.

    Attributes:
        group: Whose rows.
        views: Hex digest of each view whose rows were made, by name; none where everything was there.
        rows: How many were handed over.
        positions: What they hold, up to these offsets.
    """

    group: str
    views: Mapping[str, str]
    rows: int
    positions: Positions


@dataclass(frozen=True, slots=True)
class Outside:
    """What a backfill works on.

    Attributes:
        history: The lake.
        log: The topics.
        rows: The store's rows, live and staged.
        claims: The store's claims, live and staged.
        markers: The markers that a group heeds, by its name.
        keepers: Who keeps what.
        store: The rest of the store.
        pause: Waits between two looks at the lake.
        watch: Told how far it is.
    """

    history: History
    log: Log
    rows: FeatureRows
    claims: Claims
    markers: Callable[[str], Epochs]
    keepers: Keepers
    store: BackfillStore
    pause: Callable[[], Awaitable[None]]
    watch: Callable[[Report], None]
