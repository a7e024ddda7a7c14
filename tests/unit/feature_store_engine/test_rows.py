from __future__ import annotations

import struct

import numpy as np
import pytest
from feature_store.rows import (
    FORMAT_VERSION,
    HASH_BYTES,
    RowLayout,
    key_prefix,
    revision_of,
    row_key,
    version_of,
)
from feature_store.tiles import EMPTY_US

HASH = bytes(range(0xA0, 0xA8))
layout = RowLayout(HASH, np.array([0, 0, EMPTY_US], np.int64), partitions=2)


def row(
    revision: int = 7, *, partitions: int = 2, view_hash: bytes = HASH, version: int = FORMAT_VERSION
) -> bytes:
    """A row as docs/formats.md has it, written byte by byte."""
    head = struct.pack("<2sHI8sQqq", b"TM", version, partitions, view_hash, revision, 111, 222)
    return head + struct.pack(f"<{partitions}q", *range(partitions)) + struct.pack("<3q", 10, 11, 12)


def test_a_row_is_the_bytes_that_the_document_says() -> None:
    stored = row()
    assert layout.size == len(stored) == 80
    _, words = layout.decode([stored])
    assert words[0, 2:].tolist() == [7, 111, 222, 0, 1, 10, 11, 12]
    assert layout.unstack(words) == [stored]


def test_the_first_bytes_are_the_document_s_example() -> None:
    assert row(1)[:24].hex(" ", 8) == "544d010002000000 a0a1a2a3a4a5a6a7 0100000000000000"


def test_no_row_is_an_empty_row() -> None:
    _, words = layout.decode([None])
    assert words[0, 2:].tolist() == [0, EMPTY_US, EMPTY_US, -1, -1, 0, 0, EMPTY_US]


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"TM",
        row()[:-1],
        row() + b"\0" * 8,
        row(version=2),
        row(view_hash=bytes(HASH_BYTES)),
        b"XX" + row()[2:],
        row(partitions=3)[:-8],
    ],
    ids=["empty", "short", "cut", "long", "version", "definition", "magic", "partitions"],
)
def test_an_unreadable_row_is_recognised_and_stands_for_an_empty_one(stored: bytes) -> None:
    assert layout.partitions_of(stored) is None
    _, words = layout.decode([stored, row()])
    assert words[0].tolist() == layout.empty.tolist()
    assert words[1, 2] == 7


def test_rows_for_fewer_partitions_are_widened_and_for_more_widen_all() -> None:
    wider, words = layout.decode([row(1, partitions=1), row(2), row(3, partitions=4), None])
    assert wider.partitions == 4
    assert words[:, 5:9].tolist() == [[0, -1, -1, -1], [0, 1, -1, -1], [0, 1, 2, 3], [-1] * 4]
    assert words[:3, 9:].tolist() == [[10, 11, 12]] * 3
    assert [wider.partitions_of(packed) for packed in wider.unstack(words)] == [4] * 4


def test_a_revision_is_compared_as_its_bytes() -> None:
    assert revision_of(row(0x0102030405060708)) == bytes([8, 7, 6, 5, 4, 3, 2, 1])
    assert revision_of(None) == b""


def test_keys_are_the_view_its_version_and_the_entity_in_utf_8() -> None:
    digest = bytes.fromhex("0a1b2c3d" + 28 * "ff")
    assert row_key("origin_departures", digest, "Zürich") == b"tm:f:origin_departures:0a1b2c3d:Z\xc3\xbcrich"
    assert row_key("v", digest, "") == key_prefix("v", digest)
    assert version_of(digest) == "0a1b2c3d"
