"""Reads a run back from the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from deltalake import DeltaTable
from feature_store.events import EventBatch, empty, from_arrow

if TYPE_CHECKING:
    from pathlib import Path

    from feature_store import Project, Source


class Lake:
    """The tables the archiver wrote, whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def frame(self, table: str) -> pl.DataFrame:
        """Returns a table by its path below the lake; without columns when nothing was archived there."""
        path = self._folder / table
        return pl.read_delta(str(path)) if DeltaTable.is_deltatable(str(path)) else pl.DataFrame()

    def events(self, source: Source) -> EventBatch:
        """Returns every event of a source, duplicates included, as the feature engine reads them."""
        path = str(self._folder / "sources" / source.topic)
        return (
            from_arrow(source, DeltaTable(path).to_pyarrow_table())
            if DeltaTable.is_deltatable(path)
            else empty(source)
        )

    def all_events(self, project: Project) -> dict[str, EventBatch]:
        """Returns the events of every source, by topic."""
        return {topic: self.events(source) for topic, source in project.sources.items()}
