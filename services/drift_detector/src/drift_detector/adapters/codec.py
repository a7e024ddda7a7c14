"""How what is kept looks as bytes.

Whoever changes one of these gives the keys another prefix, for what is kept cannot be read otherwise.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Final

import numpy as np

from drift_detector.domain.contents import Step
from drift_detector.domain.diaries import Diary, Entry, Topic
from drift_detector.domain.inputs import InputSketch
from drift_detector.domain.outcomes import LabelSketch
from drift_detector.domain.shares import Crowd
from drift_detector.domain.windows import Place
from drift_detector.ports import Piece

_LENGTH: Final = struct.Struct("<I")
_MEMBER: Final = np.dtype([("identity", "<u8"), ("state", "<i8")])
_WIDE_MEMBER: Final = np.dtype([("identity", "<u8"), ("low", "<u8"), ("high", "<u8")])
_WIDE: Final = b"\xff" * 16
"""Before entries of wide states: no entry of a narrow one is below 0."""
_WIDE_FROM: Final = 1 << 63
_WORD: Final = (1 << 64) - 1
_LEVEL: Final = 1
"""Counts are mostly small: the fastest level makes them ten times smaller."""


def place_name(place: Place) -> bytes:
    """Name a sketch."""
    return f"s|{place.grain_us}|{place.known_us}|{len(place.model)}|{place.model}{place.version}".encode()


def piece_name(piece: Piece) -> bytes:
    """Name a piece of a log."""
    crowd = piece.crowd
    return f"i|{crowd.grain_us}|{piece.number}|{len(crowd.model)}|{crowd.model}{crowd.version}".encode()


def place_of(name: bytes) -> Place:
    """Read `place_name`."""
    grain_us, known_us, model, version = _parts(name)
    return Place(model, version, grain_us, known_us)


def piece_of(name: bytes) -> Piece:
    """Read `piece_name`."""
    grain_us, number, model, version = _parts(name)
    return Piece(Crowd(model, version, grain_us), number)


def grain_of(name: bytes) -> int:
    """Return the grain that a sketch or a piece of a log is about."""
    return int(name.split(b"|", 2)[1])


def inputs_bytes(sketch: InputSketch) -> bytes:
    """Write a sketch of answers."""
    head = [sketch.rows, sketch.champion_rows, sketch.profiled, len(sketch.bins), len(sketch.missing)]
    counts = np.concatenate(([*head], sketch.bins, sketch.missing, sketch.outside)).astype("<i8")
    return _packed(sketch.unseen, counts)


def inputs_of(content: bytes) -> InputSketch:
    """Read a sketch of answers."""
    unseen, counts = _unpacked(content)
    rows, champion_rows, profiled, bins, columns = (int(number) for number in counts[:5])
    parts = np.split(counts[5:], [bins, bins + columns])
    return InputSketch(rows, champion_rows, profiled, parts[0], parts[1], parts[2], unseen)


def labels_bytes(sketch: LabelSketch) -> bytes:
    """Write a sketch of outcomes."""
    parts = sorted(sketch)
    counts = np.concatenate([sketch[part] for part in parts]) if parts else np.zeros(0)
    return _packed(dict.fromkeys(parts, 0), counts.astype("<i8"))


def labels_of(content: bytes) -> LabelSketch:
    """Read a sketch of outcomes."""
    parts, counts = _unpacked(content)
    # A model's tallies are of one length, which its task decides.
    return LabelSketch(zip(parts, counts.reshape(len(parts), -1) if parts else counts, strict=True))


def members_bytes(entries: list[tuple[int, int]]) -> bytes:
    """Write a stretch of a crowd's log; states of more than 63 bits make all its entries wide."""
    if all(state < _WIDE_FROM for _, state in entries):
        return np.array(entries, _MEMBER).tobytes()
    parts = [(identity, state & _WORD, state >> 64) for identity, state in entries]
    return _WIDE + np.array(parts, _WIDE_MEMBER).tobytes()


def members_of(content: bytes) -> list[tuple[int, int]]:
    """Read a stretch of a crowd's log."""
    if not content.startswith(_WIDE):
        return [(identity, state) for identity, state in np.frombuffer(content, _MEMBER).tolist()]
    entries = np.frombuffer(content[len(_WIDE) :], _WIDE_MEMBER).tolist()
    return [(identity, high << 64 | low) for identity, low, high in entries]


def diary_bytes(diary: Diary) -> bytes:
    """Write a diary."""
    return json.dumps(
        {
            "since_us": diary.since_us,
            "inputs_us": diary.inputs_us,
            "labels_us": diary.labels_us,
            "version": diary.version,
            "entries": [[*topic, *entry] for topic, entry in sorted(diary.entries.items())],
            "steps": {version: list(steps) for version, steps in diary.steps.items()},
        }
    ).encode()


def diary_of(content: bytes) -> Diary:
    """Read a diary."""
    told = json.loads(content)
    return Diary(
        told["since_us"],
        told["inputs_us"],
        told["labels_us"],
        told["version"],
        {Topic(*one[:2]): Entry(*one[2:]) for one in told["entries"]},
        {version: [Step(*step) for step in steps] for version, steps in told["steps"].items()},
    )


def _parts(name: bytes) -> tuple[int, int, str, str]:
    _, first, second, length, rest = name.decode().split("|", 4)
    return int(first), int(second), rest[: int(length)], rest[int(length) :]


def _packed(names: object, counts: np.typing.NDArray[np.int64]) -> bytes:
    head = json.dumps(names).encode()
    return zlib.compress(_LENGTH.pack(len(head)) + head + counts.tobytes(), _LEVEL)


def _unpacked(content: bytes) -> tuple[dict[str, int], np.typing.NDArray[np.int64]]:
    plain = zlib.decompress(content)
    (length,) = _LENGTH.unpack_from(plain)
    begin = _LENGTH.size + length
    return json.loads(plain[_LENGTH.size : begin]), np.frombuffer(plain[begin:], "<i8").astype(np.int64)
