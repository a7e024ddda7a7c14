"""Recognising a record that was published twice: the same id, again, in the same partition.

Ids are claimed by offset and forgotten by generation: `GENERATION_OFFSETS` offsets of a partition are a
generation, and a record is a repeat if its id is owned by an earlier offset of its own generation or of the
one before. So a repeat is recognised for certain while fewer than
`GENERATION_OFFSETS` offsets lie between the two, never once more than twice as many do, and the outcome is a
function of ids and offsets alone: `repeats` computes the same from a finished log. Memory is bounded by
records, whatever their times say.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import pyarrow as pa

from feature_store.online.ports import Claim

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from feature_store.events import EventBatch
    from feature_store.online.ports import Claims

Offset = TypeVar("Offset", int, "NDArray[np.int64]")

GENERATION_OFFSETS: Final = 1 << 16
GENERATIONS_KEPT: Final = 3
"""A batch that is handled again after a crash needs what it needed before: one more than is looked at."""

ID_BYTES: Final = 12
"""Ids are claimed by a digest: compact, and two ids of 131,072 share one with a probability below 10^-18."""


def digest(record_id: str) -> bytes:
    """Return what stands for an id in claims."""
    return blake2b(record_id.encode(), digest_size=ID_BYTES).digest()


def generation_of(offset: Offset) -> Offset:
    """Return the generation that an offset belongs to."""
    return offset // GENERATION_OFFSETS


def claim_key(topic: str, partition: int, generation: int) -> bytes:
    """Return the key of a generation's claims; the braces keep a partition's on one node of a cluster."""
    return f"tm:c:{{{topic}:{partition}}}:{generation}".encode()


async def claimed_repeats(claims: Claims, batch: EventBatch) -> NDArray[np.bool_]:
    """Claim the ids of a batch's records and return which of them are repeats: bool[n].

    Raises:
        StoreUnavailable: the store is away; asking again is safe.
    """
    found = np.zeros(len(batch), np.bool_)
    members = list(_by_generation(batch.partition, batch.offset))
    oldest: dict[int, int] = {}
    wanted = []
    for partition, generation, indexes in members:
        ids = [digest(record_id) for record_id in batch.ids[indexes].tolist()]
        first = oldest.setdefault(partition, generation)
        offsets = batch.offset[indexes].tolist()
        wanted.append(Claim(batch.source.topic, partition, generation, first, ids, offsets))
    for (_, _, indexes), owned in zip(members, await claims.claim(wanted), strict=True):
        found[indexes[owned]] = True
    return found


def _by_generation(
    partition: NDArray[np.int32], offset: NDArray[np.int64]
) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Yield (partition, generation, indexes by rising offset), generations of a partition in order."""
    order = np.lexsort((offset, partition))
    groups = np.stack((partition[order], generation_of(offset[order])), axis=1)
    starts = np.flatnonzero(np.any(groups[1:] != groups[:-1], axis=1)) + 1
    for indexes in np.split(order, starts):
        if len(indexes):
            yield int(partition[indexes[0]]), int(generation_of(offset[indexes[0]])), indexes


def repeats(
    ids: Sequence[str] | NDArray[np.object_], partition: NDArray[np.int32], offset: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which records of a log, given in any order, `Claims` would have found to be repeats: bool[n]."""
    encoded = pa.array(list(ids), pa.string()).dictionary_encode()
    if len(encoded.dictionary) == len(offset):
        return np.zeros(len(offset), np.bool_)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    order = np.lexsort((offset, codes, partition))
    same = (codes[order][1:] == codes[order][:-1]) & (partition[order][1:] == partition[order][:-1])
    found = np.zeros(len(offset), np.bool_)
    owner = 0
    previous = -1
    # Only records that share their id with another are looked at one by one.
    for place in (np.flatnonzero(same) + 1).tolist():
        if place - 1 != previous:
            owner = int(offset[order[place - 1]])
        mine = int(offset[order[place]])
        if generation_of(mine) - generation_of(owner) <= 1:
            found[order[place]] = True
        else:
            owner = mine
        previous = place
    return found
