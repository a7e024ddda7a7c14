"""Reads a run back from the lake."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from bus.times import parse_rfc3339
from deltalake import DeltaTable
from feature_store.events import EventBatch, empty, from_arrow
from feature_store.expressions.types import column_of
from feature_store.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from feature_store import Project, Source
    from feature_store.contract import Contract
    from numpy.typing import NDArray


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


def requests_of(contract: Contract, predictions: pl.DataFrame) -> Requests:
    """Rebuilds the requests from the prediction log, in its order."""
    entities = predictions["entities"].to_list()
    context = predictions["context"].to_list()
    return Requests(
        time_us=predictions["request_time"].dt.epoch("us").to_numpy(),
        entities={
            name: np.array([row.get(name) for row in entities], dtype=object) for name in contract.entities
        },
        context={
            name: column_of(kind, [_value(row.get(name)) for row in context])
            for name, kind in contract.inputs.items()
        },
    )


def vectors_of(predictions: pl.DataFrame) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Returns the bits of the served float32 vectors and the feature statuses, both [n, F], as logged."""
    values = b"".join(predictions["features__values"].to_list())
    statuses = b"".join(predictions["features__statuses"].to_list())
    rows = predictions.height
    return (
        np.frombuffer(values, dtype="<u4").reshape(rows, -1),
        np.frombuffer(statuses, dtype=np.uint8).reshape(rows, -1),
    )


def positions_of(contract: Contract, predictions: pl.DataFrame) -> Mapping[str, NDArray[np.int64]]:
    """Returns, by view, the last offset applied in each partition [n, P]; -1 where nothing was."""
    logged = predictions["features__rows"].to_list()
    width = max((len(row["applied_offsets"]) for rows in logged for row in rows), default=1)
    applied = {view.name: np.full((predictions.height, width), -1, dtype=np.int64) for view in contract.views}
    for index, rows in enumerate(logged):
        for row in rows:
            offsets = row["applied_offsets"]
            applied[row["view"]][index, : len(offsets)] = offsets
    return applied


def _value(text: str | None) -> Any:
    """Reads a logged `Value`: `{"number": 1.5}`, `{"text": ...}`, `{"flag": ...}` or `{"time": RFC 3339}`."""
    fields = {} if text is None else json.loads(text)
    if "time" in fields:
        return parse_rfc3339(fields["time"])
    return next(iter(fields.values()), None)
