"""Doing several things at once without leaving any behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

T = TypeVar("T")
S = TypeVar("S")


async def all_of(doing: Iterable[Awaitable[T]]) -> list[T]:
    """Do things at once and return their results; if some fail, fail with the first once all have ended."""
    ended = await asyncio.gather(*doing, return_exceptions=True)
    for result in ended:
        if isinstance(result, BaseException):
            raise result
    return cast("list[T]", ended)


async def both(first: Awaitable[T], second: Awaitable[S]) -> tuple[T, S]:
    """Do two things at once, in the manner of `all_of`."""
    ended = await all_of(cast("list[Awaitable[object]]", [first, second]))
    return cast("tuple[T, S]", tuple(ended))
