"""What happens to a batch of upstream events: checked, applied to feature rows, and read for outcomes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from bus.clocks import wall_clock_us
from bus.received import Rejection
from feature_store import Incoming, decode_events

from feature.domain.outcomes import outcomes_of
from feature.privacy import Privacy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.clocks import Clock
    from bus.received import Received
    from feature_store import EventBatch, Project, Source

    from feature.freshness import FreshnessHistogram
    from feature.metrics import Metrics
    from feature.ports import Outcomes, Rows


class Features:
    """Keeps a project's features fresh. One batch at a time.

    Args:
        project: What is kept, and of what.
        rows: The feature rows.
        outcomes: Where outcomes are told.
        metrics: What is counted.
        privacy: What is hashed, and who was erased; nothing and nobody when left out.
        freshness: Where it is counted how soon events are readable; nowhere if left out.
        now_us: The wall clock, for that alone.
    """

    def __init__(
        self,
        project: Project,
        rows: Rows,
        outcomes: Outcomes,
        metrics: Metrics,
        privacy: Privacy | None = None,
        *,
        freshness: FreshnessHistogram | None = None,
        now_us: Clock = wall_clock_us,
    ) -> None:
        self._privacy = privacy or Privacy()
        self._project = project
        self._rows = rows
        self._outcomes = outcomes
        self._metrics = metrics
        self._freshness = freshness
        self._now_us = now_us

    async def on_events(self, batch: Sequence[Received]) -> list[Rejection]:
        """Return when the batch has had all its effects, with the events that are refused.

        Rows are durable before outcomes are told. Handling the same events again has no further effect.

        Raises:
            Unavailable: Redis or Kafka is away; part of the effects may be there.
        """
        by_topic: dict[str, list[Received]] = defaultdict(list)
        for record in batch:
            by_topic[record.topic].append(record)
        await self._privacy.up_to_date()
        rejections: list[Rejection] = []
        for topic, records in by_topic.items():
            rejections += await self._on_source(self._project.sources[topic], records)
        return rejections

    async def _on_source(self, source: Source, records: Sequence[Received]) -> list[Rejection]:
        events, rejects = decode_events(source, Incoming.of_records(records), self._privacy.pseudonyms)
        self._metrics.decoded(source.topic, len(events), rejects)
        refused = {reject.index for reject in rejects}
        kept = (
            [record for index, record in enumerate(records) if index not in refused] if refused else records
        )
        erased = self._privacy.among(events)
        if erased.any():
            self._metrics.erased(source.topic, int(erased.sum()))
            kept = [record for record, gone in zip(kept, erased.tolist(), strict=True) if not gone]
            events = events.take(~erased)
        if len(events):
            await self._on_valid(source, events, kept)
        return [Rejection(records[reject.index], reject.reason, reject.detail) for reject in rejects]

    async def _on_valid(self, source: Source, events: EventBatch, records: Sequence[Received]) -> None:
        with self._metrics.apply_seconds.labels(source.topic).time():
            application = await self._rows.apply(events)
        if self._freshness is not None:
            self._freshness.stored(events, ~application.repeats, self._now_us())
        self._metrics.applied(source.topic, application)
        labels = self._project.labels_of(source)
        if labels:
            first = np.flatnonzero(~application.repeats)
            traceparents = [records[index].event.traceparent for index in first.tolist()]
            outcomes = outcomes_of(labels, events.take(first), traceparents)
            await self._outcomes.tell(outcomes)
            self._metrics.told(outcomes)
