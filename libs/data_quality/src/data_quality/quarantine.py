"""What the door refused, by source, day and reason: dead letters, counted."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from bus.dead_letters import walk_dead_letters
from bus.errors import Unavailable

from data_quality.findings import MOST_EXAMPLES, Day, Example, Refusals

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from bus.dead_letters import DeadLetter

    from data_quality.findings import Quarantine


async def count_refusals(letters: AsyncIterable[DeadLetter]) -> Quarantine:
    """Count originals by the day in which they were recorded. One that was buried twice counts once."""
    seen: dict[Day, dict[tuple[int, int], tuple[str, str]]] = defaultdict(dict)
    async for letter in letters:
        original = letter.original
        seen[Day.holding(letter.recorded_us)].setdefault(
            (original.partition, original.offset), (letter.reason, letter.detail)
        )
    return {day: _by_reason(found) for day, found in seen.items()}


async def quarantine_of(bootstrap: str, topic: str) -> Quarantine:
    """Count what was refused of a topic; nothing where it has no dead-letter topic.

    Raises:
        Unavailable: the broker is away.
    """
    try:
        return await count_refusals(walk_dead_letters(bootstrap, topic))
    except Unavailable as error:
        if "does not exist" in str(error):
            return {}
        raise


def _by_reason(found: dict[tuple[int, int], tuple[str, str]]) -> tuple[Refusals, ...]:
    by_reason: dict[str, list[Example]] = defaultdict(list)
    for (partition, offset), (reason, detail) in sorted(found.items()):
        by_reason[reason].append(Example(partition, offset, detail))
    return tuple(
        Refusals(reason, len(examples), tuple(examples[:MOST_EXAMPLES]))
        for reason, examples in sorted(by_reason.items())
    )
