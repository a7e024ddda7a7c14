"""Lists in pages: a page starts after a cursor, so that what is added meanwhile moves nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from control_plane.domain.errors import UnknownCursor

_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that is wanted: at most `limit` items after a cursor (None: from the start)."""

    limit: int
    after: str | None = None

    @property
    def after_number(self) -> int | None:
        """The cursor of a list that is ordered by a number.

        Raises:
            UnknownCursor: it is no number.
        """
        if self.after is None:
            return None
        if not _NUMBER.fullmatch(self.after):
            raise UnknownCursor(self.after)
        return int(self.after)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Part of a list, and the cursor that continues it; None at its end."""

    items: Sequence[Item]
    next: str | None
