"""Entities' keys of several parts, as the one text that row keys hold: `docs/formats.md`, *Feature rows*."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SEPARATOR: Final = "|"
ESCAPE: Final = "\\"


def joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the keys that columns of parts make up, object[n]; None where a part is null or empty.

    A single part is the key as it is. Of several, each has its `ESCAPE` and `SEPARATOR` escaped, and
    `SEPARATOR` stands between them, so that no two lists of parts make the same key.
    """
    if len(parts) == 1:
        return parts[0]
    keys = np.empty(len(parts[0]), np.object_)
    keys[:] = [SEPARATOR.join(key) if all(key) else None for key in zip(*map(_escaped, parts), strict=True)]
    return keys


def _escaped(part: NDArray[Any]) -> list[str]:
    """Return a column's texts, escaped; an empty one for null."""
    texts: list[str | None] = part.tolist()
    escaped = {text: _escape(text or "") for text in set(texts)}
    return [escaped[text] for text in texts]


def _escape(text: str) -> str:
    return text.replace(ESCAPE, ESCAPE * 2).replace(SEPARATOR, ESCAPE + SEPARATOR)
