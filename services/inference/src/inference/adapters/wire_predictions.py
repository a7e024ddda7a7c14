"""Predictions as they are recorded: one by itself, or many together with what they share written once.

Protobuf reads messages that are written one after the other as one, merged (encoding guide, "Last One Wins"):
so a prediction is its own part, its vector, and the part that all of its group share. What is read is what
`prediction_made` writes, field by field; the order of the bytes is not.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from feature_store.vectors import told
from tidemark.scoring.v1.feature_vector_pb2 import FeatureVector, RowPosition
from tidemark.scoring.v1.prediction_pb2 import PredictionMade

from inference.adapters.wire import outputs_of, value_of, write_time
from inference.domain.assignment import BASIS_POINTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_store.vectors import RowPositions, Vectors
    from numpy.typing import NDArray

    from inference.scored import Scored

_LENGTH_DELIMITED: Final = 2
_MANY: Final = 12
"""Of fewer that were scored together each is written by itself: sharing costs more than it saves."""
_POSITIONS_KEPT: Final = 20_000


def prediction_made(scored: Scored) -> PredictionMade:
    """Write the fact that a score was given."""
    made = PredictionMade()
    _write_own(made, scored)
    _write_shared(made, scored)
    _write_vector(made.features, scored)
    return made


class PredictionWriter:
    """Writes many predictions at a time.

    It keeps how the positions of rows were written: most requests ask for rows that others asked for, and a
    row's position is another one whenever the row is.
    """

    def __init__(self) -> None:
        self._positions: dict[tuple[str, int, bytes], bytes] = {}

    def predictions_made(self, scored: Sequence[Scored]) -> list[bytes]:
        """Write the facts that scores were given, in order; see `prediction_made`."""
        written = [b""] * len(scored)
        batches: dict[int, list[int]] = defaultdict(list)
        for index, one in enumerate(scored):
            batches[id(one.vectors)].append(index)
        for indexes in batches.values():
            batch = [scored[index] for index in indexes]
            for index, made in zip(indexes, self._batch(batch), strict=True):
                written[index] = made
        return written

    def _batch(self, batch: Sequence[Scored]) -> list[bytes]:
        """Write predictions whose vectors were made together."""
        if len(batch) < _MANY:
            return [prediction_made(one).SerializeToString() for one in batch]
        vectors = self._vectors(batch[0].contract.hash, batch[0].vectors, [one.row for one in batch])
        shared: dict[tuple[int, int], bytes] = {}
        written: list[bytes] = []
        for one, vector in zip(batch, vectors, strict=True):
            group = (id(one.arm), one.latency_us)
            ours = shared.get(group)
            if ours is None:
                made = PredictionMade()
                _write_shared(made, one)
                ours = shared[group] = made.SerializeToString()
            made = PredictionMade()
            _write_own(made, one)
            written.append(made.SerializeToString() + vector + ours)
        return written

    def _vectors(self, contract_hash: bytes, vectors: Vectors, rows: Sequence[int]) -> list[bytes]:
        """Write some of the vectors, each as the field of a prediction."""
        head = FeatureVector(contract_hash=contract_hash).SerializeToString()
        values = _slices(np.ascontiguousarray(vectors.values[rows], dtype="<f4"))
        statuses = _slices(np.ascontiguousarray(vectors.statuses[rows]))
        positions = [self._applied(one, rows) for one in vectors.positions]
        applied = [b"".join(parts) for parts in zip(*positions, strict=True)] or [b""] * len(rows)
        # All vectors are of one width, so that what stands before their bytes is the same for all.
        before = head + _tag(FeatureVector.VALUES_FIELD_NUMBER) + _varint(len(values[0]))
        between = _tag(FeatureVector.STATUSES_FIELD_NUMBER) + _varint(len(statuses[0]))
        return [
            _field(before + own + between + became + position)
            for own, became, position in zip(values, statuses, applied, strict=True)
        ]

    def _applied(self, positions: RowPositions, rows: Sequence[int]) -> list[bytes]:
        """Write what each request's row of a view had applied, as parts of its vector."""
        words = np.concatenate([positions.applied[rows], positions.recorded_watermark_us[rows, None]], axis=1)
        known, view, declared = self._positions, positions.view, positions.declared
        if len(known) > _POSITIONS_KEPT:
            known.clear()
        written: list[bytes] = []
        for row, packed in enumerate(_slices(words)):
            key = (view, declared, packed)
            position = known.get(key)
            if position is None:
                position = known[key] = _position(positions, words[row].tolist())
            written.append(position)
        found = positions.found[rows]
        if found.all():
            return written
        return [
            position if is_there else b"" for position, is_there in zip(written, found.tolist(), strict=True)
        ]


def _write_own(made: PredictionMade, scored: Scored) -> None:
    """Write what is of this prediction alone."""
    asked = scored.asked
    made.prediction_id = asked.prediction_id
    made.request_key = asked.request_key
    made.score = scored.score
    write_time(made.request_time, asked.request_time_us)
    # One by one: as a whole they go through Python's abstract classes, at twice the cost of all of this.
    entities = made.entities
    for name, key in asked.entities.items():
        entities[name] = key
    for name, value in asked.context.items():
        made.context[name].CopyFrom(value_of(value))
    if scored.outputs:
        made.outputs.extend(outputs_of(scored.outputs))


def _write_shared(made: PredictionMade, scored: Scored) -> None:
    """Write what others have too that were answered by the same arm at the same time."""
    arm = scored.arm
    made.model = scored.asked.model
    made.version = arm.version.version
    made.variant = arm.variant
    made.role = int(arm.role)  # type: ignore[assignment] # the numbers are the contract's
    made.route_revision = scored.route_revision
    made.latency_us = scored.latency_us
    made.label = scored.label
    made.log_share = log_share(scored.log_basis_points)
    made.segment = arm.segment


def log_share(basis_points: int) -> float:
    """Write the share of requests that is recorded; 0 says all."""
    return 0.0 if basis_points == BASIS_POINTS else basis_points / BASIS_POINTS


def _write_vector(written: FeatureVector, scored: Scored) -> None:
    vectors, row = scored.vectors, scored.row
    written.contract_hash = scored.contract.hash
    written.values = vectors.values[row].astype("<f4", copy=False).tobytes()
    written.statuses = vectors.statuses[row].tobytes()
    for view, applied, recorded_us in vectors.positions.of(row):
        written.rows.add(view=view, applied_offsets=applied, recorded_watermark_us=recorded_us)


def _position(positions: RowPositions, words: list[int]) -> bytes:
    *applied, watermark_us = words
    row = RowPosition(
        view=positions.view,
        applied_offsets=told(applied, positions.declared),
        recorded_watermark_us=watermark_us,
    )
    return FeatureVector(rows=[row]).SerializeToString()


def _slices(matrix: NDArray[Any]) -> list[bytes]:
    """Give the bytes of each row of a contiguous matrix."""
    packed, width = matrix.tobytes(), matrix.shape[1] * matrix.itemsize
    return [packed[at : at + width] for at in range(0, len(packed), width)]


def _tag(field: int) -> bytes:
    """Say which field follows, as so many bytes of something: for field numbers up to 15."""
    return bytes([field << 3 | _LENGTH_DELIMITED])


_FEATURES_TAG: Final = _tag(PredictionMade.FEATURES_FIELD_NUMBER)


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
