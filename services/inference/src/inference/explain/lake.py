"""Predictions of the lake, one by one, for the rare old case.

The engine that comes with delta-rs looks them up: it opens no file whose ids, by the log's statistics, lie
elsewhere, reads no row group whose Bloom filter does not know the id, and of a row group without one reads
the ids before anything else. Memory is bounded by a row group's column.
See docs/adr/0035-finding-a-prediction.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import TableNotFoundError

from inference.explain.errors import NotReadable
from inference.explain.predictions import Prediction
from inference.explain.wire import vector_of

if TYPE_CHECKING:
    from collections.abc import Mapping

PREDICTIONS: Final = "predictions_made"
_COLUMNS: Final = (
    "_partition",
    "_offset",
    "prediction_id",
    "request_key",
    "model",
    "version",
    "variant",
    "score",
    "request_time",
    "entities",
    "features__values",
    "features__statuses",
)
_SESSION: Final = {
    "datafusion.execution.parquet.bloom_filter_on_read": "true",
    "datafusion.execution.parquet.pushdown_filters": "true",
    "datafusion.execution.target_partitions": "1",  # row groups in memory at once; a lookup has no hurry
}


class LakePredictions:
    """The table that the archiver keeps of `predictions.made`; see `OlderPredictions`.

    Args:
        lake_uri: Where the lake is.
    """

    def __init__(self, lake_uri: str) -> None:
        self._location = f"{lake_uri.rstrip('/')}/{PREDICTIONS}"

    @property
    def place(self) -> str:
        """See `OlderPredictions.place`."""
        return f"the lake's table {self._location}"

    def find(self, prediction_id: str) -> Prediction | None:
        """See `OlderPredictions.find`; of one id the first recorded counts."""
        try:
            rows = self._rows(DeltaTable(self._location), prediction_id)
        except TableNotFoundError:
            return None
        except Exception as error:  # delta-rs raises bare Exception beside its own classes
            raise NotReadable(f"{self.place} cannot be read: {error}") from error
        return _prediction_of(rows[0]) if rows else None

    def _rows(self, table: DeltaTable, prediction_id: str) -> list[dict[str, Any]]:
        quoted = prediction_id.replace("'", "''")
        found = (
            QueryBuilder(_SESSION)
            .register(PREDICTIONS, table)
            .execute(
                f"SELECT {', '.join(_COLUMNS)} FROM {PREDICTIONS} "  # noqa: S608 - quoted above
                f"WHERE prediction_id = '{quoted}' ORDER BY _partition, _offset LIMIT 1"
            )
        )
        rows: list[dict[str, Any]] = pa.table(found.read_all()).to_pylist()
        return rows


def _prediction_of(row: Mapping[str, Any]) -> Prediction:
    try:
        values, statuses = vector_of(row["features__values"] or b"", row["features__statuses"] or b"")
    except ValueError as error:
        raise NotReadable(f"prediction {row['prediction_id']!r} is damaged: {error}") from error
    return Prediction(
        prediction_id=row["prediction_id"],
        request_key=row["request_key"],
        model=row["model"],
        version=row["version"],
        variant=row["variant"],
        score=row["score"],
        request_time_us=int(np.datetime64(row["request_time"].replace(tzinfo=None), "us").astype(np.int64)),
        entities=dict(row["entities"] or ()),
        values=values,
        statuses=statuses,
    )
