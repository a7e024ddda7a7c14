"""A lake in memory, for tests."""

from collections.abc import Mapping

from feature_store import EventBatch, Source

from training_sets.datasets import TableVersion
from training_sets.errors import EmptyLake
from training_sets.lake import SourceEvents, held_by, next_offsets


class MemoryEvents:
    """Events by topic."""

    def __init__(self, batches: Mapping[str, EventBatch], version: int = 1) -> None:
        self._batches = batches
        self._version = version

    def read(self, source: Source, until_us: int, at: TableVersion | None = None) -> SourceEvents:
        """See `EventLake.read`."""
        if source.topic not in self._batches:
            raise EmptyLake(f"no events of {source.topic}")
        whole = self._batches[source.topic]
        batch = whole.take(whole.recorded_time_us <= until_us)
        if at is not None:
            batch = batch.take(held_by(batch, at.next_offsets))
        if not len(batch):
            raise EmptyLake(f"no events of {source.topic} recorded by {until_us}")
        version = self._version if at is None else at.version
        return SourceEvents(batch, TableVersion(version, next_offsets(batch), len(batch)))
