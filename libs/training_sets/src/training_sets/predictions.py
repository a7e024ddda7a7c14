"""The prediction log as the lake keeps it, read back as what was asked and what was served."""

import json
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from bus.times import parse_rfc3339
from feature_store.contract import Contract
from feature_store.expressions.types import column_of
from feature_store.offline import Served
from feature_store.requests import Requests
from numpy.typing import NDArray

PREDICTIONS: Final = "predictions_made"
"""The table, below the lake."""

COLUMNS: Final = (
    "request_time",
    "entities",
    "context",
    "features__contract_hash",
    "features__values",
    "features__statuses",
    "features__rows",
)
"""What `served_of` and `fits` read."""

_FLOAT_BYTES: Final = 4


def fits(contract: Contract, predictions: pa.Table) -> NDArray[np.bool_]:
    """Which predictions were served by this contract, whole: bool[n]."""
    width = len(contract.features)
    wanted = (
        pc.equal(predictions["features__contract_hash"], pa.scalar(contract.hash, pa.binary())),
        pc.equal(pc.binary_length(predictions["features__values"]), _FLOAT_BYTES * width),
        pc.equal(pc.binary_length(predictions["features__statuses"]), width),
    )
    masks = [pc.fill_null(mask, False).to_numpy() for mask in wanted]  # noqa: FBT003 - the value itself
    fitting: NDArray[np.bool_] = np.logical_and.reduce(masks)
    return fitting


def looked_up(contract: Contract, predictions: pa.Table) -> NDArray[np.bool_]:
    """Which predictions name all that their features are looked up by: bool[n].

    Of the others the caller gave the vector, and no store can say what it should have been.
    """
    named = [
        pc.is_valid(pc.map_lookup(predictions[column], pa.scalar(name), "first")).to_numpy()
        for column, names in (("entities", contract.entities), ("context", contract.inputs))
        for name in names
    ]
    every: NDArray[np.bool_] = np.logical_and.reduce(named, initial=True)
    return np.broadcast_to(every, len(predictions))


def served_of(contract: Contract, predictions: pa.Table) -> Served:
    """Read predictions that `fits` says the contract served, in their order."""
    applied, watermark_us = _positions_of(contract, predictions)
    values = b"".join(predictions["features__values"].to_pylist())
    statuses = b"".join(predictions["features__statuses"].to_pylist())
    width = len(contract.features)
    return Served(
        _requests_of(contract, predictions),
        np.frombuffer(values, "<u4").reshape(-1, width),
        np.frombuffer(statuses, np.uint8).reshape(-1, width),
        applied,
        watermark_us,
    )


def _requests_of(contract: Contract, predictions: pa.Table) -> Requests:
    entities = [dict(row or ()) for row in predictions["entities"].to_pylist()]
    context = [dict(row or ()) for row in predictions["context"].to_pylist()]
    time_us = predictions["request_time"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    return Requests(
        time_us.to_numpy(),
        {name: np.array([row.get(name) for row in entities], object) for name in contract.entities},
        {
            name: column_of(kind, [_value(row.get(name)) for row in context])
            for name, kind in contract.inputs.items()
        },
    )


def _positions_of(
    contract: Contract, predictions: pa.Table
) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.int64]]:
    """Return `Served.applied` and `Served.watermark_us`."""
    logged = [rows or () for rows in predictions["features__rows"].to_pylist()]
    width = max((len(row["applied_offsets"]) for rows in logged for row in rows), default=1)
    applied = {view.name: np.full((len(logged), width), -1, np.int64) for view in contract.views}
    watermark_us = np.zeros(len(logged), np.int64)
    for index, rows in enumerate(logged):
        for row in rows:
            if row["view"] not in applied:
                continue  # a vector that names another view says nothing of these: their rows count as absent
            offsets = row["applied_offsets"]
            applied[row["view"]][index, : len(offsets)] = offsets
            watermark_us[index] = max(watermark_us[index], row["recorded_watermark_us"])
    return applied, watermark_us


def _value(text: str | None) -> Any:
    """Read a logged `Value`: `{"number": 1.5}`, `{"text": ...}`, `{"flag": ...}` or `{"time": RFC 3339}`."""
    fields = {} if text is None else json.loads(text)
    if "time" in fields:
        return parse_rfc3339(fields["time"])
    return next(iter(fields.values()), None)
