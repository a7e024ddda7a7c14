"""The audit chain: every link covers the one before it, so that a changed, lost or inserted link is found.

The bytes that are hashed are written down in docs/formats.md.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

NO_HASH: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that somebody did.

    Attributes:
        actor: Who; "system:<part>" for what no human did.
        action: What, e.g. "version.approved".
        model: The model it is about.
        subject: What it was done to: a version, an approval's id, a rollout's id, a revision.
        details: What else there is to know; JSON.
    """

    actor: str
    action: str
    model: str
    subject: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """An entry in its place in the chain; `details` is canonical JSON."""

    sequence: int
    recorded_at_us: int
    actor: str
    action: str
    model: str
    subject: str
    details: str
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain ends."""

    sequence: int = 0
    hash: str = NO_HASH


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain does not hold."""

    sequence: int
    why: str


def canonical_json(value: object) -> str:
    """Writes JSON in the one form that is hashed: sorted keys, no spaces, no escapes but needful ones."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def append(head: Head, entries: Iterable[Entry], *, recorded_at_us: int) -> list[Link]:
    """Makes the links that follow `head`."""
    links = []
    for entry in entries:
        link = Link(
            head.sequence + 1,
            recorded_at_us,
            entry.actor,
            entry.action,
            entry.model,
            entry.subject,
            canonical_json(entry.details),
            head.hash,
            "",
        )
        link = replace(link, hash=hash_of(link))
        links.append(link)
        head = Head(link.sequence, link.hash)
    return links


def hash_of(link: Link) -> str:
    """Computes the hash that a link must have: SHA-256, hex, over all its other fields."""
    covered = {
        "action": link.action,
        "actor": link.actor,
        "details": link.details,
        "model": link.model,
        "previous_hash": link.previous_hash,
        "recorded_at_us": link.recorded_at_us,
        "sequence": link.sequence,
        "subject": link.subject,
    }
    return hashlib.sha256(canonical_json(covered).encode()).hexdigest()


def first_break(head: Head, links: Iterable[Link]) -> Break | None:
    """Finds the first link that does not follow from `head` and the links before it."""
    for link in links:
        why = _why_broken(head, link)
        if why:
            return Break(min(link.sequence, head.sequence + 1), why)
        head = Head(link.sequence, link.hash)
    return None


def _why_broken(head: Head, link: Link) -> str | None:
    if link.sequence != head.sequence + 1:
        return f"link {head.sequence + 1} is missing: link {link.sequence} follows link {head.sequence}"
    if link.previous_hash != head.hash:
        return f"link {link.sequence} does not name the hash of the link before it"
    if link.hash != hash_of(link):
        return f"link {link.sequence} is not what its hash says: it was changed after it was written"
    return None
