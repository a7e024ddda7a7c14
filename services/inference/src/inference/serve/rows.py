"""Requests of several rows that are answered all or not at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from inference.domain.errors import InvalidRequest, NoScore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inference.ports import PredictionLog
    from inference.scored import Scored

T = TypeVar("T")


def in_rows(steps: Sequence[Callable[[], T]]) -> list[T]:
    """Do a step for each row; of several rows, a complaint says which it is about.

    Raises:
        ScoringError: The first.
    """
    done: list[T] = []
    try:
        for step in steps:
            done.append(step())  # noqa: PERF401 - its length says which row failed
    except (InvalidRequest, NoScore) as error:
        if len(steps) == 1:
            raise
        raise at_row(error, len(done)) from error
    return done


def at_row(error: InvalidRequest | NoScore, row: int) -> InvalidRequest | NoScore:
    """The same complaint, about a row of several."""
    if isinstance(error, InvalidRequest):
        return error.within(f"rows[{row}]")
    return type(error)(f"rows[{row}]: {error}")


async def record_all(log: PredictionLog, scored: Sequence[Scored], *, is_durable: bool) -> None:
    """Record predictions; return when they are durable, where they must be.

    Raises:
        LogUnavailable: They must be durable, and at least one could not be written in time.
    """
    if is_durable:
        await asyncio.gather(*map(log.write, scored))
        return
    for one in scored:
        log.offer(one)
