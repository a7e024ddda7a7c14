"""Rows and claims of a rebuild, beside the live ones in the same store and under keys of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feature_store.online.ports import Claim, Claims, FeatureRows

STAGED: Final = b"tm:r:"
"""What the key of a staged row begins with; the key of the live one follows."""


def staged_topic(topic: str) -> str:
    """Return the name under which a topic's ids are claimed by a rebuild. No topic is called so."""
    return f"rebuild/{topic}"


class StagedRows:
    """`FeatureRows` of a rebuild."""

    def __init__(self, rows: FeatureRows) -> None:
        self._rows = rows

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `FeatureRows.read`."""
        return await self._rows.read([STAGED + key for key in keys])

    async def replace(
        self, keys: Sequence[bytes], expected: Sequence[bytes], rows: Sequence[bytes]
    ) -> Mapping[int, bytes | None]:
        """See `FeatureRows.replace`."""
        return await self._rows.replace([STAGED + key for key in keys], expected, rows)


class StagedClaims:
    """`Claims` of a rebuild."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    async def claim(self, claims: Sequence[Claim]) -> list[list[int]]:
        """See `Claims.claim`."""
        return await self._claims.claim([replace(one, topic=staged_topic(one.topic)) for one in claims])
