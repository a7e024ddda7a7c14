"""Many predictions written together: what they share is serialised once.

Protobuf reads messages that are written one after the other as one, merged (encoding guide, "Last One Wins"):
so a prediction is its own part, its vector, and the part that all of its group share. What is read is what
`wire.prediction_made` writes, field by field; the order of the bytes is not.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tidemark.scoring.v1.feature_vector_pb2 import FeatureVector, RowPosition
from tidemark.scoring.v1.prediction_pb2 import PredictionMade

from inference.adapters.wire import outputs_of, timestamp, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_store.vectors import RowPositions, Vectors
    from numpy.typing import NDArray

    from inference.scored import Scored

    Known = dict[str, dict[bytes, bytes]]

_LENGTH_DELIMITED: Final = 2
_FEATURES_TAG: Final = bytes([PredictionMade.FEATURES_FIELD_NUMBER << 3 | _LENGTH_DELIMITED])


def predictions_made(scored: Sequence[Scored]) -> list[bytes]:
    """Write the facts that scores were given, in order; see `wire.prediction_made`."""
    shared: dict[tuple[int, int, int], bytes] = {}
    vectors: dict[int, list[bytes]] = {}
    known: Known = defaultdict(dict)
    written: list[bytes] = []
    for one in scored:
        group = (id(one.vectors), id(one.arm), one.latency_us)
        ours = shared.get(group)
        if ours is None:
            ours = shared[group] = _shared(one)
        features = vectors.get(group[0])
        if features is None:
            features = vectors[group[0]] = feature_vectors(one.contract.hash, one.vectors, known)
        written.append(_own(one) + features[one.row] + ours)
    return written


def feature_vectors(contract_hash: bytes, vectors: Vectors, known: Known) -> list[bytes]:
    """Write vectors, each as the field of a prediction.

    Args:
        contract_hash: What they mean.
        vectors: What is written.
        known: By view, what rows had applied, as it was written before; it is added to.
    """
    values = np.ascontiguousarray(vectors.values, dtype="<f4")
    statuses = np.ascontiguousarray(vectors.statuses)
    head = FeatureVector(contract_hash=contract_hash).SerializeToString()
    served = zip(_slices(values), _slices(statuses), strict=True)
    positions = [_positions(one, known[one.view]) for one in vectors.positions]
    rows = [b"".join(parts) for parts in zip(*positions, strict=True)]
    rows = rows or [b""] * len(vectors)
    return [
        _field(head + FeatureVector(values=own, statuses=became).SerializeToString() + applied)
        for (own, became), applied in zip(served, rows, strict=True)
    ]


def _own(scored: Scored) -> bytes:
    asked = scored.asked
    made = PredictionMade(
        prediction_id=asked.prediction_id,
        request_key=asked.request_key,
        score=scored.score,
        request_time=timestamp(asked.request_time_us),
        entities=asked.entities,
        context={name: value_of(value) for name, value in asked.context.items()},
    )
    if scored.outputs:
        made.outputs.extend(outputs_of(scored.outputs))
    return made.SerializeToString()


def _shared(scored: Scored) -> bytes:
    arm = scored.arm
    return PredictionMade(
        model=scored.asked.model,
        version=arm.version.version,
        variant=arm.variant,
        role=int(arm.role),  # type: ignore[arg-type] # the numbers are the contract's
        route_revision=scored.route_revision,
        latency_us=scored.latency_us,
        label=scored.label,
        segment=arm.segment,
    ).SerializeToString()


def _positions(positions: RowPositions, known: dict[bytes, bytes]) -> list[bytes]:
    """Write what each request's row of a view had applied: most of a batch share their rows."""
    told = np.concatenate([positions.applied, positions.recorded_watermark_us[:, None]], axis=1)
    keys = _slices(told)
    for key, row in {key: row for row, key in enumerate(keys) if key not in known}.items():
        known[key] = _position(positions.view, told[row].tolist())
    if positions.found.all():
        return [known[key] for key in keys]
    found = positions.found.tolist()
    return [known[key] if is_there else b"" for key, is_there in zip(keys, found, strict=True)]


def _position(view: str, told: list[int]) -> bytes:
    *applied, watermark_us = told
    row = RowPosition(view=view, applied_offsets=applied, recorded_watermark_us=watermark_us)
    return FeatureVector(rows=[row]).SerializeToString()


def _slices(matrix: NDArray[Any]) -> list[bytes]:
    """Give the bytes of each row of a contiguous matrix."""
    packed, width = matrix.tobytes(), matrix.shape[1] * matrix.itemsize
    return [packed[at : at + width] for at in range(0, len(packed), width)]


def _field(message: bytes) -> bytes:
    return _FEATURES_TAG + _varint(len(message)) + message


def _varint(number: int) -> bytes:
    """Base-128, the least significant group first (protobuf encoding guide)."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
