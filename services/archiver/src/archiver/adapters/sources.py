"""Keeps upstream events: those that features see, as features see them, and no others."""

from collections import Counter
from collections.abc import Sequence

from bus.received import Received
from feature_store import Incoming, Pseudonyms, Source, decode_events
from feature_store.events import arrow_schema
from privacy.erased import ErasedSubjects

from archiver.domain.tables import LakeTable, source_path, unambiguous
from archiver.keeping import ERASED, Kept


class SourceKeeper:
    """Keeps the events that pass a source's checks, and of them the fields that its format declares.

    What fails is counted, not rejected: `feature` reads the same topic and dead-letters it. So is what is of
    a subject that was erased.

    Args:
        source: Whose events.
        pseudonyms: Hash what is sensitive in them.
        erased: Who was erased.

    Raises:
        SchemaError: two of the fields would share a column.
    """

    def __init__(
        self, source: Source, pseudonyms: Pseudonyms | None = None, erased: ErasedSubjects | None = None
    ) -> None:
        self._source = source
        self._pseudonyms = pseudonyms
        self._erased = erased
        schema = unambiguous(arrow_schema(source), f"source {source.topic}")
        self.table = LakeTable(source_path(source.topic), source.topic, schema)

    def keep(self, records: Sequence[Received]) -> Kept:
        """Rows of what is valid; an event that arrived twice is two rows."""
        batch, rejects = decode_events(self._source, Incoming.of_records(records), self._pseudonyms)
        kept = batch if self._erased is None else self._erased.without(batch)
        left_out = Counter(str(reject.reason) for reject in rejects)
        left_out += Counter({ERASED: len(batch) - len(kept)})
        return Kept(kept.to_arrow(), left_out=left_out)
