"""Lists in pages: a page starts after a cursor, so that what is added meanwhile moves nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that is wanted: at most `limit` items after a cursor (None: from the start)."""

    limit: int
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Part of a list, and the cursor that continues it; None at its end."""

    items: Sequence[Item]
    next: str | None
