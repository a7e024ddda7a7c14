"""The graph from readings to score that a package carries, with rows that prove it."""

import logging
from typing import Final

import numpy as np
import onnx
from feature_store import Contract, Requests
from feature_store.aggregations import sortable
from feature_store.onnx_graph import (
    NotExportable,
    NotMergeable,
    export_assembly,
    feeds_of,
    is_exact,
    merge,
)
from feature_store.tiles import EMPTY_US
from feature_store.vectors import Readings, VectorPlan
from model_package import NonFiniteScore, Package, Scorer, Served, ServedGolden
from numpy.typing import NDArray

_LOG: Final = logging.getLogger(__name__)
_SEED: Final = 20_130_101
_MOST_EVENTS: Final = 60
_SPREAD: Final = 2**25  # about 30 in the fixed point of sums


def serve(package: Package, contract: Contract, requests: Requests) -> Served | None:
    """The merged graph of a package's model; None, and a warning, where something has no place in it.

    Args:
        package: Whose model it is; its scores are what the graph must give.
        contract: What the vectors mean.
        requests: Whose inputs the golden rows take; what rows held for them is made up, for it must cover
            what may happen and not what did.
    """
    try:
        merged = merge(export_assembly(contract), onnx.load_from_string(package.model))
        golden = _golden(package, contract, requests)
    except (NotExportable, NotMergeable, NonFiniteScore) as error:
        _LOG.warning("%s is packaged without a merged graph: %s", package.manifest.model, error)
        return None
    return Served(merged.SerializeToString(deterministic=True), golden)


def _golden(package: Package, contract: Contract, requests: Requests) -> ServedGolden:
    readings, readable = _made_up(contract, requests.time_us)
    values, statuses = VectorPlan(contract).finish(readings, requests, readable)
    feeds = feeds_of(contract, readings, requests, readable)
    return ServedGolden(feeds, values, statuses, Scorer(package).score(values), is_exact(contract))


def _made_up(contract: Contract, time_us: NDArray[np.int64]) -> tuple[Readings, NDArray[np.bool_]]:
    """Readings, the same for the same contract and times: most fresh, some stale, empty or unreadable."""
    plan, generator, n = VectorPlan(contract), np.random.default_rng(_SEED), len(time_us)
    ttl_us = np.array([view.ttl_us for view in contract.views], np.int64)
    age_us = (generator.random((n, len(ttl_us))) * 1.1 * ttl_us).astype(np.int64)
    is_empty = generator.random(age_us.shape) < 0.05
    newest_us = np.where(is_empty, EMPTY_US, time_us[:, None] - age_us)
    is_sum = np.array([read.placed.accumulator.kind == "sum" for read in plan.totals], np.bool_)
    counts = generator.integers(0, _MOST_EVENTS, (n, len(is_sum)))
    sums = counts * generator.integers(-_SPREAD, 2 * _SPREAD, counts.shape)
    lasts = sortable(generator.normal(0.0, 30.0, (n, len(plan.lasts))))
    readings = Readings(newest_us, np.where(is_sum, sums, counts), lasts)
    return readings, generator.random(age_us.shape) < 0.97
