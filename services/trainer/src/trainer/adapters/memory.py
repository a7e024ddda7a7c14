"""A lake in memory, for tests."""

from collections.abc import Mapping

from feature_store import EventBatch, Source

from trainer.domain.datasets import TableVersion
from trainer.domain.errors import EmptyLake
from trainer.ports import SourceEvents


class MemoryEvents:
    """Events by topic, all in partition 0 as far as versions tell."""

    def __init__(self, batches: Mapping[str, EventBatch], version: int = 1) -> None:
        self._batches = batches
        self._version = version

    def read(self, source: Source, until_us: int) -> SourceEvents:
        """See `EventLake.read`."""
        if source.topic not in self._batches:
            raise EmptyLake(f"no events of {source.topic}")
        whole = self._batches[source.topic]
        batch = whole.take(whole.recorded_time_us <= until_us)
        if not len(batch):
            raise EmptyLake(f"no events of {source.topic} recorded by {until_us}")
        return SourceEvents(batch, TableVersion(self._version, {0: int(batch.offset.max()) + 1}, len(batch)))


class SilentSteps:
    """Hears, and says nothing."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def begin(self, step: str) -> None:
        """See `Steps.begin`."""
        self.heard.append(step)
