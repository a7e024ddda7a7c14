"""Which cores each process of a measurement has: it moves figures up to fourfold, so every row says it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bench.figures import Row

_CORES: Final = frozenset(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the server is, and where everything else is.

    Attributes:
        suffix: What tells the figures of this placement from those of the first.
        server: The cores of the server that is measured.
        others: Those of the load generator, Valkey, Kafka and the bench itself.
    """

    suffix: str
    server: frozenset[int]
    others: frozenset[int]

    def words(self) -> str:
        """Return the placement as results record it."""
        if self.server == self.others:
            return f"unpinned: every process on cores {_told(self.server)}"
        return f"server on core {_told(self.server)}; load, Valkey and Kafka on {_told(self.others)}"


def placements(cores: frozenset[int]) -> tuple[Placement, Placement]:
    """Return the server on the first of some cores and the rest on the others; and everything on all."""
    first = frozenset({min(cores)})
    return Placement("", first, cores - first or first), Placement(".unpinned", cores, cores)


APART, UNPINNED = placements(_CORES)


def measured_from(placement: Placement, measure: Callable[[], Coroutine[Any, Any, list[Row]]]) -> list[Row]:
    """Measure with this process, and what it starts, where the placement has the others; rows say so."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, placement.others)
    try:
        rows = uvloop.run(measure())
    finally:
        os.sched_setaffinity(0, before)
    return [row | {"placement": placement.words()} for row in rows]


def _told(cores: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(cores)))
