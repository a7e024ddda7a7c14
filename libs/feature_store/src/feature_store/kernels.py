"""Compiled loops: tiles merged row by row, and integers made into the numbers of a vector.

One request is some hundred additions over four rows. Each numpy call costs as much as all of them, and
arithmetic on arrays of three dimensions costs readers more; so here are plain loops, compiled by Numba when
this module is imported (some seconds, once a machine: the result is cached beside this file, or in
`NUMBA_CACHE_DIR`). Signatures are fixed, so nothing is compiled later, between two requests.

Tables of integers say what to do, a line each. No arithmetic here may be reordered: no `fastmath`.
"""

from __future__ import annotations

from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit, types

from feature_store.aggregations import NO_NUMBER
from feature_store.statuses import Status
from feature_store.tiles import EMPTY_US

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

NEWEST, WIDTH, COUNT, ORIGIN = range(4)
"""Columns of windows: the word of the row's newest event time; `Ring.width_us`, `count`, `origin_us`."""
OLDEST_SEEN, NEWEST_SEEN, ASKED = range(3)
"""Columns of what a request sees of windows: tiles."""
FORM, NUMERATOR, DENOMINATOR, VIEW = range(4)
"""Columns of leaves: `Form`, which reading, which reading divides it, and whose row gives its status."""


class How(IntEnum):
    """How the tiles of an accumulator of many words are read."""

    ADDED = 0
    GREATEST_BYTES = 1
    BY_AGE = 2


class Form(IntEnum):
    """What a leaf is made of."""

    TOTAL = 0
    QUOTIENT = 1
    KEPT = 2
    MADE = 3


_GREATEST_BYTES: Final = int(How.GREATEST_BYTES)
_BY_AGE: Final = int(How.BY_AGE)
_TOTAL, _QUOTIENT, _KEPT = int(Form.TOTAL), int(Form.QUOTIENT), int(Form.KEPT)
_PRESENT, _MISSING, _STALE, _DEFAULTED = (int(status) for status in Status)
_SIGN_FLIP: Final = 0x7FFF_FFFF_FFFF_FFFF
_BYTE: Final = np.uint64(0xFF)


def _in(dtype: types.Type, dimensions: int) -> types.Array:
    # Read-only arguments take writable arrays too.
    return types.Array(dtype, dimensions, "C", readonly=True)


_WORDS, _WORD = _in(types.int64, 2), _in(types.int64, 1)


def _compiled(signature: Any) -> Callable[[Any], Any]:
    """Compile a function for arguments of these types."""
    compiler: Any = partial(njit, signature, nogil=True, error_model="numpy")

    def decorate(function: Any) -> Any:
        try:
            return compiler(cache=True)(function)
        except RuntimeError:
            # Neither this file's folder nor the user's cache can be written to: compile at each start.
            return compiler()(function)

    return decorate


_inner: Final[Any] = njit(nogil=True, error_model="numpy")
"""For what is compiled as a part of what calls it."""


@_inner
def _added(line, start, count, oldest, newest):
    """Return the sum of the words of the tiles `oldest ... newest`."""
    total = np.int64(0)
    slot = oldest % count
    for _ in range(oldest, newest + 1):
        total += line[start + slot]
        slot = slot + 1 if slot + 1 < count else 0
    return total


@_inner
def _greatest(line, start, count, oldest, newest, flip, paired):
    """Return what the tile of the greatest word, once flipped, keeps; `NO_NUMBER` for nothing."""
    found, greatest = np.int64(-1), EMPTY_US if paired else NO_NUMBER
    for tile in range(oldest, newest + 1):
        at = start + tile % count
        if line[at] ^ flip > greatest:
            found, greatest = at, line[at] ^ flip
    if found < 0:
        return NO_NUMBER
    # Two tiles never hold the same event time, so the value beside the greatest is the one.
    return line[found + count] if paired else line[found]


@_inner
def _greater_bytes(kept, brought):
    """Return the greater of each byte of two words."""
    merged = np.uint64(0)
    for shift in range(0, 64, 8):
        byte = _BYTE << np.uint64(shift)
        merged |= max(np.uint64(kept) & byte, np.uint64(brought) & byte)
    return np.int64(merged)


@_inner
def _merge(line, start, count, oldest, newest, how, merged):
    """Merge the words of each tile into as many words."""
    for tile in range(oldest, newest + 1):
        at = start + tile % count
        for block in range(len(merged)):
            word = line[at + block * count]
            merged[block] = (
                _greater_bytes(merged[block], word) if how == _GREATEST_BYTES else merged[block] + word
            )


@_inner
def _begins_as_it_must(line, prefix_words, prefixes):
    matching = True
    for number in range(len(prefix_words)):
        matching &= line[prefix_words[number]] == prefixes[number]
    return matching


@_inner
def _look(line, time_us, windows, seen):
    """Write which tiles of each window count: oldest, newest, and the one of the time asked for."""
    for number in range(len(windows)):
        width, count, origin = windows[number, WIDTH], windows[number, COUNT], windows[number, ORIGIN]
        head = (line[windows[number, NEWEST]] - origin) // width
        asked = (time_us - origin) // width
        # See `tiles.first`; tiles newer than the request's do not count either.
        seen[number, OLDEST_SEEN] = max(head, asked) - (count - 1)
        seen[number, NEWEST_SEEN] = min(head, asked)
        seen[number, ASKED] = asked


@_compiled(
    types.boolean(
        _WORDS,
        _WORD,
        _WORD,
        _WORD,
        _WORD,
        _WORDS,
        _WORDS,
        _WORDS,
        _WORDS,
        types.int64[:, ::1],
        types.int64[:, ::1],
        types.int64[:, ::1],
        types.int64[:, ::1],
    ),
)
def read_rows(
    matrix, time_us, prefix_words, prefixes, head_words, windows, totals_at, lasts_at, wides_at,
    heads, totals, lasts, wides,
):  # fmt: skip
    """Merge, for each request, the tiles of its rows that count as of its time.

    Args:
        matrix: The requests' rows side by side, int64[n, words].
        time_us: The requests' times, int64[n].
        prefix_words: Where the rows' first two words are, int64[p].
        prefixes: What must stand there.
        head_words: What is copied to `heads`, int64[h].
        windows: int64[w, 4], see `NEWEST`.
        totals_at: Accumulators of one added word, int64[t, 2]: first word, window.
        lasts_at: Accumulators that keep a value or a time, int64[l, 4]: first word, window,
            `Accumulator.flip`, whether a time lies before the value.
        wides_at: Accumulators of many words, int64[a, 5]: first word, window, `How`, words of a result,
            and where in the line of results it begins.
        heads: Written: int64[n, h].
        totals: Written: int64[n, t].
        lasts: Written: int64[n, l]; `NO_NUMBER` for none.
        wides: Written: int64[n, words of all].

    Returns:
        Whether all rows begin as they must; where not, what was written means nothing.
    """
    seen = np.empty((len(windows), 3), np.int64)
    for request in range(len(matrix)):
        line = matrix[request]
        if not _begins_as_it_must(line, prefix_words, prefixes):
            return False
        for number in range(len(head_words)):
            heads[request, number] = line[head_words[number]]
        _look(line, time_us[request], windows, seen)
        for number in range(len(totals_at)):
            start, window = totals_at[number]
            oldest, newest, _ = seen[window]
            totals[request, number] = _added(line, start, windows[window, COUNT], oldest, newest)
        for number in range(len(lasts_at)):
            start, window, flip, paired = lasts_at[number]
            oldest, newest, _ = seen[window]
            lasts[request, number] = _greatest(
                line, start, windows[window, COUNT], oldest, newest, flip, paired
            )
        for number in range(len(wides_at)):
            start, window, how, words, first = wides_at[number]
            count, merged = windows[window, COUNT], wides[request, first : first + words]
            oldest, newest, asked = seen[window]
            merged[:] = 0
            if how == _BY_AGE:
                for tile in range(oldest, newest + 1):
                    merged[asked - tile] = line[start + tile % count]
            else:
                _merge(line, start, count, oldest, newest, how, merged)
    return True


@_compiled(
    types.void(
        _WORDS,
        _WORDS,
        _in(types.float64, 2),
        _WORDS,
        _in(types.float64, 1),
        types.float64[:, ::1],
    ),
)
def make_numbers(totals, lasts, made, leaves, scale, numbers):  # fmt: skip
    """Make readings into numbers; what is not there becomes one that is not finite.

    Args:
        totals: int64[n, t].
        lasts: Sortable, int64[n, l].
        made: Numbers from elsewhere, float64[n, m].
        leaves: int64[F, 4], see `FORM`.
        scale: What totals are multiplied with, float64[F].
        numbers: Written: float64[n, F].
    """
    kept = np.empty(1, np.int64)
    as_number = kept.view(np.float64)
    for request in range(len(numbers)):
        for leaf in range(len(leaves)):
            form, at = leaves[leaf, FORM], leaves[leaf, NUMERATOR]
            if form == _TOTAL:
                numbers[request, leaf] = totals[request, at] * scale[leaf]
            elif form == _QUOTIENT:
                divisor = np.float64(totals[request, leaves[leaf, DENOMINATOR]])
                numbers[request, leaf] = totals[request, at] * scale[leaf] / divisor
            elif form == _KEPT:
                word = lasts[request, at]
                kept[0] = word ^ ((word >> 63) & _SIGN_FLIP)
                numbers[request, leaf] = as_number[0]
            else:
                numbers[request, leaf] = made[request, at]


@_compiled(
    types.void(
        types.Array(types.int64, 2, "A", readonly=True),
        _WORD,
        _in(types.boolean, 2),
        _WORDS,
        _WORD,
        types.uint8[:, ::1],
    ),
)
def mark_rows(newest_us, time_us, readable, leaves, ttl_us, statuses):  # fmt: skip
    """Write what the rows say of their features.

    Args:
        newest_us: int64[n, views or more].
        time_us: int64[n].
        readable: Which rows could be read, bool[n, views]; of no lines for all.
        leaves: int64[F, 4], see `VIEW`.
        ttl_us: By view, int64[views].
        statuses: Written: uint8[n, F].
    """
    for request in range(len(statuses)):
        for leaf in range(len(leaves)):
            view, status = leaves[leaf, VIEW], _PRESENT
            if view < len(ttl_us):
                if len(readable) and not readable[request, view]:
                    status = _DEFAULTED
                elif newest_us[request, view] == EMPTY_US:
                    status = _MISSING
                elif time_us[request] - newest_us[request, view] > ttl_us[view]:
                    status = _STALE
            statuses[request, leaf] = status


@_compiled(
    types.void(_in(types.float64, 2), _in(types.float32, 1), types.uint8[:, ::1], types.float32[:, ::1])
)
def _settle(numbers, defaults, statuses, values):
    for request in range(len(numbers)):
        for at in range(len(defaults)):
            value = np.float32(numbers[request, at])
            if statuses[request, at] == _PRESENT and not np.isfinite(value):
                statuses[request, at] = _MISSING
            # A zero has no sign: runtimes do not agree on which they keep.
            present = statuses[request, at] == _PRESENT
            values[request, at] = value + np.float32(0.0) if present else defaults[at]


def settle(
    numbers: NDArray[np.float64], statuses: NDArray[np.uint8], defaults: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return values as float32, -0 as 0, and statuses: what is present but not finite as float32 is MISSING.

    Args:
        numbers: float64[n, F].
        statuses: uint8[n, F]; written to.
        defaults: float32[F], which stand where a feature is not present.
    """
    values = np.empty(numbers.shape, np.float32)
    _settle(numbers, defaults, statuses, values)
    return values, statuses
