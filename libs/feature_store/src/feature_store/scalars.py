"""A request's inputs one by one, as callers give them: the type of each, and what no feature can read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from feature_store.expressions import FieldType

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_KEY_BYTES: Final = 256
"""Of an entity's key."""
MAX_TEXT_BYTES: Final = 1024
EARLIEST_US: Final = 0
LATEST_US: Final = 7_258_118_400_000_000  # 2200-01-01T00:00:00Z
NO_TIME: Final = "must be from 1970 to before 2200, UTC"
"""What is wrong with a request's own time that is not in [`EARLIEST_US`, `LATEST_US`)."""

Scalar = float | str | bool | int
"""An input: float is a number, str a text, bool a flag, int a time in microseconds since the epoch."""

KIND_OF: Final[Mapping[type, FieldType]] = {
    float: FieldType.NUMBER,
    str: FieldType.TEXT,
    bool: FieldType.FLAG,
    int: FieldType.TIME,
}


def is_longer(text: str, limit: int) -> bool:
    """Return whether a text takes more than so many bytes in UTF-8."""
    # A character takes 4 bytes at most, so short texts need no encoding to be known short.
    return len(text) * 4 > limit and len(text.encode()) > limit


def problem_with(value: Scalar) -> str | None:
    """Say what is wrong with an input, whatever reads it; None for nothing."""
    if isinstance(value, float):
        return None if math.isfinite(value) else "must be a finite number"
    if isinstance(value, str):
        return f"is longer than {MAX_TEXT_BYTES} bytes" if is_longer(value, MAX_TEXT_BYTES) else None
    if isinstance(value, bool) or EARLIEST_US <= value < LATEST_US:
        return None
    return "must be a time from 1970 to before 2200, UTC"
