"""Keeps the platform's own facts: one message type a topic, from the catalogue."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, cast

import pyarrow as pa
from bus.received import Received, Rejection
from bus.topics import (
    ALERTS_CHANGED,
    APPROVALS_DECIDED,
    AUDIT_RECORDED,
    MODELS_REGISTERED,
    MONITORS_MEASURED,
    OUTCOMES_OBSERVED,
    PREDICTIONS_EXPLAINED,
    PREDICTIONS_MADE,
    PREDICTIONS_RESOLVED,
    RETRAIN_APPROVED,
    RETRAIN_REFUSED,
    RETRAIN_REQUESTED,
    ROLLOUTS_CHANGED,
    ROUTES_CHANGED,
    ROUTES_FOLLOWED,
    SHADOW_MADE,
    SUBJECTS_ERASED,
    VARIANTS_COMPARED,
    Topic,
)
from google.protobuf.message import DecodeError, Message
from privacy.erased import ErasedSubjects, NamesEntities

from archiver.adapters.columns import envelope_columns, message_columns
from archiver.adapters.descriptors import describe
from archiver.domain.tables import LakeTable, derive_schema, platform_path
from archiver.keeping import ERASED, Kept

KEPT_TOPICS: Final = (
    PREDICTIONS_MADE,
    SHADOW_MADE,
    OUTCOMES_OBSERVED,
    PREDICTIONS_RESOLVED,
    PREDICTIONS_EXPLAINED,
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
    SUBJECTS_ERASED,
)
MALFORMED_MESSAGE: Final = "MALFORMED_MESSAGE"
UNSTORABLE_MESSAGE: Final = "UNSTORABLE_MESSAGE"
_ENTITIES: Final = "entities"


class PlatformKeeper:
    """Keeps every record of a topic whose value is one protobuf message; a tombstone's fields are null."""

    def __init__(self, topic: Topic, erased: ErasedSubjects | None = None) -> None:
        if topic.message is None:
            raise ValueError(f"topic {topic.name} has no message type: it is a source, not the platform's")
        self._message = topic.message
        self._shape = describe(topic.message)
        # Only what names entities can be about somebody.
        self._erased = erased if _ENTITIES in topic.message.DESCRIPTOR.fields_by_name else None
        self.table = LakeTable(platform_path(topic.name), topic.name, derive_schema(self._shape))

    def keep(self, records: Sequence[Received]) -> Kept:
        """Rows of what parses; what does not is rejected."""
        rejections: list[Rejection] = []
        parsed: list[tuple[Received, Message | None]] = []
        erased = 0
        for record in records:
            try:
                message = self._parse(record)
                if self._is_erased(record, message):
                    erased += 1
                else:
                    parsed.append((record, message))
            except DecodeError as error:
                detail = f"The {len(record.event.data)} bytes are no {self._shape.name}: {error}."
                rejections.append(Rejection(record, MALFORMED_MESSAGE, detail))
        try:
            rows = self._rows(parsed)
        except (ValueError, OverflowError):
            rows = self._rows([one for one in parsed if self._is_storable(one, rejections)])
        return Kept(rows, rejections, Counter({ERASED: erased}) if erased else Counter())

    def _is_erased(self, record: Received, message: Message | None) -> bool:
        if not self._erased or message is None:
            return False
        return self._erased.concerns_fact(cast("NamesEntities", message), record.event.recorded_time_us)

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
