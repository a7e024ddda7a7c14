"""The freshness gap: how far behind the log the rows of a request were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from feature_store.offline.history import History
from feature_store.online.claims import repeats
from feature_store.plans import plan_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from feature_store.contract import Contract
    from feature_store.events import EventBatch
    from feature_store.offline.known import Applied
    from feature_store.requests import Requests


def freshness_gap_us(
    contract: Contract, events: Mapping[str, EventBatch], requests: Requests, applied: Applied
) -> NDArray[np.int64]:
    """Return by how much each request's rows lagged behind what was recorded by its time, int64[n].

    It is the request's time minus the recorded time of the oldest event recorded by then that its rows should
    have applied and had not; 0 where they had applied all of them.

    Args:
        contract: The model's contract.
        events: By topic, the events of the contract's sources, in any order.
        requests: What was asked.
        applied: What the rows had applied.
    """
    gap_us = np.zeros(len(requests), np.int64)
    counts = {topic: ~repeats(batch.ids, batch.partition, batch.offset) for topic, batch in events.items()}
    for view in contract.views:
        history = History(plan_of(view), events[view.source.topic], counts[view.source.topic])
        entity = history.numbers_of(requests.keys_of(view.entity))
        oldest_us = applied.of(history, requests, entity).oldest_unknown_us()
        gap_us = np.maximum(gap_us, requests.time_us - oldest_us)
    return gap_us
