"""Sensitive fields: what is done with them before anything is written.

A field of a source is kept, hashed or dropped, as its `sensitive` declares. It is done where a payload is
decoded, so that nothing behind that sees the field as it was: lake, feature rows, outcomes, training sets.
A payload's bytes are in the source's own topic, which belongs to its producer, and nowhere else.
"""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feature_store.rejects import Reject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from feature_store.definitions.sources import Source
    from feature_store.formats import Columns

_DIGEST_BYTES: Final = 16
"""Two of a billion values share a hash with a probability below 10^-20."""
_WITHHELD: Final = "what it held is not told, because the field is sensitive."


class Handling(StrEnum):
    """What is done with a field."""

    KEEP = "keep"
    """It is written as it is."""
    HASH = "hash"
    """A keyed hash stands for it wherever it is written, and where it is an entity's key."""
    DROP = "drop"
    """It is written nowhere."""


class MissingKey(Exception):
    """Fields are to be hashed, and there is no key."""


class Pseudonyms:
    """Keyed hashes that stand for texts: the same text has the same one throughout a deployment.

    Equal values can be joined and counted; who has no key cannot try values out.

    Args:
        key: At least 16 secret bytes.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < _DIGEST_BYTES:
            raise MissingKey(f"a key of {len(key)} bytes is too short: {_DIGEST_BYTES} random bytes at least")
        self._key = key

    @property
    def key_id(self) -> str:
        """Name the key without telling it: 8 hex digits that differ where the key differs."""
        return self._hash(b"key", b"")[:8]

    def of(self, text: str) -> str:
        """Return what stands for a text: 32 hex digits, the first half of an HMAC-SHA256."""
        return self._hash(b"value", text.encode())

    def of_bytes(self, value: bytes) -> bytes:
        """Return what stands for a record's key, as ASCII; an empty one stays empty."""
        return self._hash(b"value", value).encode() if value else value

    def subject(self, entity: str, key: str) -> str:
        """Return by what an erased subject is known: the hash of an entity and the key that rows have."""
        return self._hash(b"subject", entity.encode() + b"\x00" + key.encode())

    def column(self, texts: NDArray[Any]) -> NDArray[Any]:
        """Return what stands for each text; nulls stay null, and an empty text stays empty."""
        known = {text: self.of(text) if text else text for text in set(texts.tolist())}
        hashed = np.empty(len(texts), np.object_)
        hashed[:] = [known[text] for text in texts.tolist()]
        return hashed

    def _hash(self, purpose: bytes, value: bytes) -> str:
        digest = hmac.new(self._key, b"tidemark/" + purpose + b"\x00" + value, hashlib.sha256).digest()
        return digest[:_DIGEST_BYTES].hex()


def conceal(source: Source, columns: Columns, pseudonyms: Pseudonyms | None) -> Columns:
    """Return a source's columns as they may be written: without what is dropped, hashes for what is hashed.

    Raises:
        MissingKey: a field is hashed, and no pseudonyms are given.
    """
    kept = {name: columns[name] for name in source.fields}
    if not source.is_sensitive:
        return kept
    names = demand(source, pseudonyms)
    return kept | {name: names.column(columns[name]) for name in source.hashed}


def demand(source: Source, pseudonyms: Pseudonyms | None) -> Pseudonyms:
    """Return the pseudonyms that a sensitive source needs.

    Raises:
        MissingKey: there are none.
    """
    if pseudonyms is None:
        raise MissingKey(f"source {source.topic} has sensitive fields: no key is given to hash with")
    return pseudonyms


def conceal_envelopes(
    source: Source, ids: Sequence[str], keys: Sequence[bytes], pseudonyms: Pseudonyms | None
) -> tuple[Sequence[str], Sequence[bytes]]:
    """Return records' ids and keys as they may be written: of a sensitive source either may hold a value.

    Raises:
        MissingKey: the source has sensitive fields, and no pseudonyms are given.
    """
    if not source.is_sensitive:
        return ids, keys
    names = demand(source, pseudonyms)
    return [names.of(one) for one in ids], [names.of_bytes(key or b"") for key in keys]


def withheld(source: Source, rejects: Iterable[Reject]) -> list[Reject]:
    """Return rejects whose detail tells no value of a sensitive source: the reason has to do."""
    if not source.is_sensitive:
        return list(rejects)
    detail = f"An event of {source.topic}: {_WITHHELD}"
    return [Reject(one.index, one.reason, detail) for one in rejects]
