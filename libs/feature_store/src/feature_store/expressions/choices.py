"""What the operators compute that choose: the lesser, the first there is, an entry of a table."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_store.expressions.types import as_flag, is_null

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from feature_store.expressions.types import Value

Entries = tuple[float | str | None, ...]
"""A table as an expression's parameters: what stands for everything else, then key, value, key, value ..."""


def minimum(left: Value, right: Value) -> Value:
    """Return the lesser; of equal ones the right; null where either is null."""
    return np.where(is_null(left) | (left < right), left, right)


def maximum(left: Value, right: Value) -> Value:
    """Return the greater; of equal ones the right; null where either is null."""
    return np.where(is_null(left) | (left > right), left, right)


def where(condition: Value, value: Value, otherwise: Value) -> Value:
    """Return `value` where the condition holds, `otherwise` where it does not or is null."""
    return np.where(as_flag(condition), _choosable(value), _choosable(otherwise))


def coalesce(value: Value, otherwise: Value) -> Value:
    """Return `value` where it is not null, and `otherwise` elsewhere."""
    return np.where(is_null(value), _choosable(otherwise), _choosable(value))


def _choosable(value: Value) -> Value:
    """Return a value in a dtype that it shares with others of its type."""
    if isinstance(value, str):
        return np.array(value, np.object_)
    # A flag that may be null and one that may not, side by side.
    return value.astype(np.int8) if getattr(value, "dtype", None) == np.bool_ else value


def look_up_text(value: Value, *entries: float | str | None) -> Value:
    """Return the number that a table has for a text."""
    otherwise, table = _by_text(entries)
    if isinstance(value, str):
        return table.get(value, otherwise)
    return np.fromiter((table.get(item, otherwise) for item in value), np.float64, len(value))


def look_up_number(value: Value, *entries: float | str | None) -> Value:
    """Return the number that a table has for a number."""
    otherwise, keys, numbers = _by_number(entries)
    place = np.minimum(keys.searchsorted(value), len(keys) - 1)
    return np.where(keys[place] == value, numbers[place], otherwise)


@lru_cache(maxsize=1024)
def _by_text(entries: Entries) -> tuple[float, Mapping[Any, float]]:
    return _otherwise(entries), dict(zip(entries[1::2], (float(x or 0) for x in entries[2::2]), strict=True))


@lru_cache(maxsize=1024)
def _by_number(entries: Entries) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    keys, numbers = np.array(entries[1::2], np.float64), np.array(entries[2::2], np.float64)
    order = np.argsort(keys)
    return _otherwise(entries), keys[order], numbers[order]


def _otherwise(entries: Entries) -> float:
    return np.nan if entries[0] is None else float(entries[0])
