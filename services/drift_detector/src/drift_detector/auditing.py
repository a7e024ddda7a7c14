"""How the consistency monitor is put together from what a project declares."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from monitoring.served import Consistency, StoreMonitor

from drift_detector.auditor import Audit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from feature_store import Project, Source
    from feature_store.contract import Contract


def audits_of(project: Project, monitors: Iterable[StoreMonitor]) -> list[Audit]:
    """Put monitors together that look at the same sample of the same windows; those of no sample are off."""
    groups: dict[tuple[str, int, float], list[StoreMonitor]] = defaultdict(list)
    for one in monitors:
        if one.sample:
            groups[one.model, one.window_us, one.sample].append(one)
    return [
        Audit(
            contract=project.contract(model),
            window_us=window_us,
            share=share,
            grace_us=_grace_us(found),
            monitors=tuple(found),
            objectives_us=objectives_us(project.contract(model)),
        )
        for (model, window_us, share), found in groups.items()
    ]


def sources_of(audits: Iterable[Audit]) -> list[Source]:
    """Return the sources that vectors are recomputed from."""
    return list(dict.fromkeys(view.source for audit in audits for view in audit.contract.views))


def objectives_us(contract: Contract) -> dict[str, int]:
    """Return, by view, how fresh it is to be; views that declare nothing are left out."""
    return {view.name: view.freshness_us for view in contract.views if view.freshness_us is not None}


def _grace_us(monitors: Sequence[StoreMonitor]) -> int:
    return max((one.grace_us for one in monitors if isinstance(one, Consistency)), default=0)
