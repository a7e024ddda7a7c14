"""Predictions of the lake, one by one: a scan of the table's ids, which is slow and for the rare old case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

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
            rows = DeltaTable(self._location).to_pyarrow_dataset()
            found = rows.to_table(list(_COLUMNS), filter=ds.field("prediction_id") == prediction_id)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise NotReadable(f"{self.place} cannot be read: {error}") from error
        if not len(found):
            return None
        [row] = found.sort_by([("_partition", "ascending"), ("_offset", "ascending")]).slice(0, 1).to_pylist()
        return _prediction_of(row)


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
