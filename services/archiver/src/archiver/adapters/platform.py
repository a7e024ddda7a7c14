"""Keeps the platform's own facts: one message type a topic, from the catalogue."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
from bus.received import Received, Rejection
from bus.topics import (
    ALERTS_CHANGED,
    APPROVALS_DECIDED,
    AUDIT_RECORDED,
    MODELS_REGISTERED,
    MONITORS_MEASURED,
    OUTCOMES_OBSERVED,
    PREDICTIONS_MADE,
    PREDICTIONS_RESOLVED,
    RETRAIN_APPROVED,
    RETRAIN_REFUSED,
    RETRAIN_REQUESTED,
    ROLLOUTS_CHANGED,
    ROUTES_CHANGED,
    ROUTES_FOLLOWED,
    SHADOW_MADE,
    VARIANTS_COMPARED,
    Topic,
)
from google.protobuf.message import DecodeError, Message

from archiver.adapters.columns import envelope_columns, message_columns
from archiver.adapters.descriptors import describe
from archiver.domain.tables import LakeTable, derive_schema, platform_path
from archiver.keeping import Kept

KEPT_TOPICS: Final = (
    PREDICTIONS_MADE,
    SHADOW_MADE,
    OUTCOMES_OBSERVED,
    PREDICTIONS_RESOLVED,
    VARIANTS_COMPARED,
    ROUTES_CHANGED,
    ROUTES_FOLLOWED,
    ROLLOUTS_CHANGED,
    MODELS_REGISTERED,
    MONITORS_MEASURED,
    ALERTS_CHANGED,
    RETRAIN_REQUESTED,
    RETRAIN_APPROVED,
    RETRAIN_REFUSED,
    APPROVALS_DECIDED,
    AUDIT_RECORDED,
)
MALFORMED_MESSAGE: Final = "MALFORMED_MESSAGE"
UNSTORABLE_MESSAGE: Final = "UNSTORABLE_MESSAGE"


class PlatformKeeper:
    """Keeps every record of a topic whose value is one protobuf message; a tombstone's fields are null."""

    def __init__(self, topic: Topic) -> None:
        if topic.message is None:
            raise ValueError(f"topic {topic.name} has no message type: it is a source, not the platform's")
        self._message = topic.message
        self._shape = describe(topic.message)
        self.table = LakeTable(platform_path(topic.name), topic.name, derive_schema(self._shape))

    def keep(self, records: Sequence[Received]) -> Kept:
        """Rows of what parses; what does not is rejected."""
        rejections: list[Rejection] = []
        parsed: list[tuple[Received, Message | None]] = []
        for record in records:
            try:
                parsed.append((record, self._parse(record)))
            except DecodeError as error:
                detail = f"The {len(record.event.data)} bytes are no {self._shape.name}: {error}."
                rejections.append(Rejection(record, MALFORMED_MESSAGE, detail))
        try:
            rows = self._rows(parsed)
        except (ValueError, OverflowError):
            rows = self._rows([one for one in parsed if self._is_storable(one, rejections)])
        return Kept(rows, rejections)

    def _parse(self, record: Received) -> Message | None:
        return None if record.event.tombstone else self._message.FromString(record.event.data)

    def _rows(self, parsed: Sequence[tuple[Received, Message | None]]) -> pa.Table:
        columns = [
            *envelope_columns([record for record, _ in parsed]),
            *message_columns(self._shape, [message for _, message in parsed]),
        ]
        return pa.Table.from_arrays(columns, schema=self.table.schema)

    def _is_storable(self, one: tuple[Received, Message | None], rejections: list[Rejection]) -> bool:
        try:
            self._rows([one])
        except (ValueError, OverflowError) as error:
            rejections.append(Rejection(one[0], UNSTORABLE_MESSAGE, f"{self._shape.name}: {error}."))
            return False
        return True
