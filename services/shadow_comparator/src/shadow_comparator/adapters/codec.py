"""How what is kept looks as bytes.

Whoever changes one of these gives the keys another prefix, for what is kept cannot be read otherwise.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from monitoring import Differences
from tidemark.scoring.v1.prediction_pb2 import PredictionResolved

from shadow_comparator.adapters import wire
from shadow_comparator.domain.facts import Outcome, Prediction, Role
from shadow_comparator.domain.revisions import Pair
from shadow_comparator.domain.windows import Answer

_OUTCOME: Final = struct.Struct(">dqq")
_ANSWER: Final = struct.Struct(">Bd")
_NUMBER: Final = struct.Struct(">d")
_DIFFERENCES: Final = struct.Struct(">qddd")
_DIFFERENCES_ALONE: Final = struct.Struct(">qdd")
"""Without what they were taken from: kept before that was."""


def identity(first: str, second: str) -> bytes:
    """Write two texts so that no other two read alike, whatever characters are in them."""
    head = first.encode()
    return b"%d:%b%b" % (len(head), head, second.encode())


def identity_parts(content: bytes) -> tuple[str, str]:
    """Read `identity`."""
    length, _, rest = content.partition(b":")
    return rest[: int(length)].decode(), rest[int(length) :].decode()


def prediction_bytes(prediction: Prediction) -> bytes:
    """Write an answer: its trace, a line feed, and what it will say when it is resolved."""
    return (prediction.traceparent or "").encode() + b"\n" + wire.unresolved(prediction).SerializeToString()


def prediction_of(content: bytes) -> Prediction:
    """Read an answer."""
    traceparent, _, data = content.partition(b"\n")
    message = PredictionResolved.FromString(data)
    return wire.answered(message, traceparent.decode() or None)


def outcome_bytes(outcome: Outcome) -> bytes:
    """Write an outcome; label, request key and revision are where it is put."""
    return _OUTCOME.pack(outcome.value, outcome.time_us, outcome.recorded_time_us)


def outcome_of(label: str, request_key: str, revision: int, content: bytes) -> Outcome:
    """Read an outcome."""
    value, time_us, recorded_time_us = _OUTCOME.unpack(content)
    return Outcome(label, request_key, value, revision, time_us, recorded_time_us)


def answer_bytes(answer: Answer) -> bytes:
    """Write an answer of a window; request and version are where it is put.

    Its numbers, if any, follow: as float32 where that loses nothing, as with most graphs.
    """
    head = _ANSWER.pack(answer.role, answer.score)
    if not answer.numbers:
        return head
    numbers = np.frombuffer(answer.numbers, "<f8")
    with np.errstate(over="ignore"):
        halved = numbers.astype("<f4")
    return head + (b"f" + halved.tobytes() if (halved == numbers).all() else b"d" + answer.numbers)


def answer_of(name: bytes, content: bytes) -> Answer:
    """Read an answer of a window."""
    prediction_id, version = identity_parts(name)
    role, score = _ANSWER.unpack_from(content)
    kind, numbers = content[_ANSWER.size : _ANSWER.size + 1], content[_ANSWER.size + 1 :]
    if kind == b"f":
        numbers = np.frombuffer(numbers, "<f4").astype("<f8").tobytes()
    return Answer(prediction_id, version, Role(role), score, numbers)


def number_bytes(value: float) -> bytes:
    """Write a label's value."""
    return _NUMBER.pack(value)


def number_of(content: bytes) -> float:
    """Read a label's value."""
    value: float = _NUMBER.unpack(content)[0]
    return value


def differences_bytes(differences: Differences) -> bytes:
    """Write a window's evidence."""
    return _DIFFERENCES.pack(differences.pairs, differences.total, differences.squares, differences.before)


def differences_of(content: bytes) -> Differences:
    """Read a window's evidence."""
    layout = _DIFFERENCES_ALONE if len(content) == _DIFFERENCES_ALONE.size else _DIFFERENCES
    return Differences(*layout.unpack(content))


def versions_bytes(pair: Pair) -> bytes:
    """Write who is compared; the model is where it is put."""
    return identity(pair.champion, pair.challenger)


def pair_of(model: str, content: bytes) -> Pair:
    """Read who is compared."""
    return Pair(model, *identity_parts(content))
