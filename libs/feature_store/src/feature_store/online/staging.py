"""Rows and claims under keys of their own: a backfill's beside the live ones, a group's beside another's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feature_store.online.ports import Claim, Claims, FeatureRows

_STAGED: Final = b"tm:r:"


def staged_prefix(group: str) -> bytes:
    """Return what the keys of a group's staged rows begin with; the key of the live one follows."""
    return _STAGED + group.encode() + b":"


def staged_name(group: str) -> str:
    """Return the name under which a group's backfill claims ids. No group is called so."""
    return f"backfill/{group}"


def claimed_topic(name: str, topic: str) -> str:
    """Return what stands for a topic in the keys of somebody's claims."""
    return f"{name}/{topic}"


class StagedRows:
    """`FeatureRows` of a group's backfill."""

    def __init__(self, rows: FeatureRows, group: str) -> None:
        self._rows = rows
        self._prefix = staged_prefix(group)

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `FeatureRows.read`."""
        return await self._rows.read([self._prefix + key for key in keys])

    async def replace(
        self, keys: Sequence[bytes], expected: Sequence[bytes], rows: Sequence[bytes]
    ) -> Mapping[int, bytes | None]:
        """See `FeatureRows.replace`."""
        return await self._rows.replace([self._prefix + key for key in keys], expected, rows)


class OwnClaims:
    """`Claims` of one group, or of its backfill.

    Groups are at different places of a topic, and claims are forgotten behind the foremost.
    So each has its own.
    """

    def __init__(self, claims: Claims, name: str) -> None:
        self._claims = claims
        self._name = name

    async def claim(self, claims: Sequence[Claim]) -> list[list[int]]:
        """See `Claims.claim`."""
        return await self._claims.claim(
            [replace(one, topic=claimed_topic(self._name, one.topic)) for one in claims]
        )
