"""What an assembly's graph is given, from the engine's own arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from feature_store.expressions import EntityKey, FieldType
from feature_store.onnx_graph.assembly import ENTITY, REQUEST
from feature_store.onnx_graph.building import NULL_TEXT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feature_store.contract import Contract
    from feature_store.requests import Requests
    from feature_store.vectors import Readings


def feeds_of(
    contract: Contract, readings: Readings, requests: Requests, readable: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    """Return the inputs of `export_assembly(contract)` by name.

    Args:
        contract: What was exported.
        readings: What the accumulators hold.
        requests: The requests.
        readable: Which rows could be read, bool[n, views].
    """
    kept = {
        "newest_us": readings.newest_us,
        "readable": readable,
        "totals": readings.totals,
        "lasts": readings.lasts,
    }
    feeds = {name: array for name, array in kept.items() if array.shape[1]}
    feeds["request_time_us"] = requests.time_us
    for name, kind in contract.inputs.items():
        column = requests.context[name]
        feeds[f"{REQUEST}{name}"] = _texts(column) if kind is FieldType.TEXT else column
    named = requests.named(contract.entity_keys)
    for name in contract.entity_keys:
        feeds[f"{ENTITY}{name}"] = _texts(named[EntityKey(name).name])
    return feeds


def _texts(column: NDArray[Any]) -> NDArray[Any]:
    return np.array([NULL_TEXT if text is None else text for text in column], np.object_)
