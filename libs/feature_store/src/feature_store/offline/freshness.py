"""The freshness gap: how far behind the log the rows of a request were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from feature_store.offline.history import History
from feature_store.online.claims import repeats
from feature_store.plans import plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from feature_store.contract import Contract
    from feature_store.definitions import View
    from feature_store.events import EventBatch
    from feature_store.offline.known import Applied
    from feature_store.requests import Requests


def freshness_gap_us(
    contract: Contract, events: Mapping[str, EventBatch], requests: Requests, applied: Applied
) -> NDArray[np.int64]:
    """Return by how much each request's rows lagged behind what was recorded by its time, int64[n].

    It is the greatest of `freshness_gaps_us`.
    """
    gaps_us = freshness_gaps_us(contract, events, requests, applied)
    return np.max([*gaps_us.values(), np.zeros(len(requests), np.int64)], axis=0)  # type: ignore[no-any-return] # numpy's is


def freshness_gaps_us(
    contract: Contract, events: Mapping[str, EventBatch], requests: Requests, applied: Applied
) -> dict[str, NDArray[np.int64]]:
    """Return, by view, by how much each request's row lagged behind what was recorded by its time, int64[n].

    It is the request's time minus the recorded time of the oldest event recorded by then that its row should
    have applied and had not; 0 where it had applied all of them.

    Args:
        contract: The model's contract.
        events: By topic, the events of the contract's sources, in any order.
        requests: What was asked.
        applied: What the rows had applied.
    """
    gaps_us = {}
    for view, history, entity in views_of(contract, events, requests):
        oldest_us = applied.of(history, requests, entity).oldest_unknown_us()
        gaps_us[view.name] = np.maximum(requests.time_us - oldest_us, 0)
    return gaps_us


def views_of(
    contract: Contract,
    events: Mapping[str, EventBatch],
    requests: Requests,
    wanted: Callable[[View], bool] = lambda _: True,
) -> Iterator[tuple[View, History, NDArray[np.int64]]]:
    """Yield each wanted view, its events, each once, and each request's entity as a number, int64[n]."""
    counts: dict[str, NDArray[np.bool_]] = {}
    for view in filter(wanted, contract.views):
        batch = events[view.source.topic]
        if view.source.topic not in counts:
            counts[view.source.topic] = ~repeats(batch.ids, batch.partition, batch.offset)
        history = History(plan_of(view), batch, counts[view.source.topic])
        yield view, history, history.numbers_of(requests.keys_of(view.entity))
