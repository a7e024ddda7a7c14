"""Lengths of time as a definition writes them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from feature_store.tiles import ALL_TIME_US

_FORM: Final = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d)")
_MICROSECONDS: Final = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_MICROSECOND: Final = timedelta(microseconds=1)

ALL_TIME: Final = "all"
"""The window without an end."""


def microseconds(duration: timedelta) -> int:
    """Return a duration in whole microseconds."""
    return duration // _MICROSECOND


def window_us(window: str | timedelta) -> int:
    """Return the length of a window in microseconds: a duration, or "all".

    Raises:
        ValueError: it is neither.
    """
    return ALL_TIME_US if window == ALL_TIME else parse_us(window)


def parse_us(duration: str | timedelta) -> int:
    """Return "90s", "15m", "1h", "7d" or a timedelta in microseconds.

    Raises:
        ValueError: it is neither, or not positive.
    """
    if isinstance(duration, timedelta):
        length_us = microseconds(duration)
        if length_us <= 0:
            raise ValueError(f"{duration!r} is no positive duration")
        return length_us
    match = _FORM.fullmatch(duration)
    if match is None:
        raise ValueError(f"{duration!r} is no duration")
    return int(match[1]) * _MICROSECONDS[match[2]]
